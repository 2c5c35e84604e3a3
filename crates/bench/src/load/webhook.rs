//! The bytes of an STK callback, in the shape that Daraja's documentation shows.

use std::net::SocketAddr;
use std::sync::Arc;

/// Where the webhooks of a load go.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// One for each merchant, all equally long. Payments take turns.
    paths: Arc<[String]>,
}

impl Target {
    /// # Panics
    /// Panics when there is no path, or their lengths differ.
    pub(crate) fn new(address: SocketAddr, paths: Vec<String>) -> Self {
        let length = paths.first().map(String::len);
        assert!(
            length.is_some() && paths.iter().all(|path| Some(path.len()) == length),
            "a load has paths of one length"
        );
        Self {
            address,
            paths: paths.into(),
        }
    }
}

/// Digits of a number in a receipt and in a checkout id.
const DIGITS: usize = 9;
const ZEROS: &str = "000000000";
/// What stands before the number in a receipt.
const RECEIPT: &str = r#""MpesaReceiptNumber","Value":"R"#;
const CHECKOUT_ID: &str = r#""CheckoutRequestID":"ws_CO_191220191"#;

const METHOD: &str = "POST ";

/// A request with a place for its path and two for the number of its payment.
pub(crate) struct Webhook {
    bytes: Vec<u8>,
    paths: Arc<[String]>,
    places: [usize; 2],
}

impl Webhook {
    pub(crate) fn stk_success(target: &Target) -> Self {
        let body = format!(
            concat!(
                r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"29115-34620561-1",{}{}","#,
                r#""ResultCode":0,"ResultDesc":"The service request is processed successfully.","#,
                r#""CallbackMetadata":{{"Item":[{{"Name":"Amount","Value":1500.00}},"#,
                r#"{{"Name":{}{}"}},{{"Name":"Balance"}},"#,
                r#"{{"Name":"TransactionDate","Value":20191219102115}},"#,
                r#"{{"Name":"PhoneNumber","Value":254708374149}}]}}}}}}}}"#,
            ),
            CHECKOUT_ID, ZEROS, RECEIPT, ZEROS,
        );
        let head = format!(
            "{METHOD}{} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            target.paths[0],
            target.address,
            body.len(),
        );
        let place = |before: &str| {
            let start = body.find(before).expect("the body was built with it");
            head.len() + start + before.len()
        };
        let places = [place(CHECKOUT_ID), place(RECEIPT)];
        Self {
            bytes: (head + &body).into_bytes(),
            paths: Arc::clone(&target.paths),
            places,
        }
    }

    /// Returns the request of a payment. It is written into the template, which costs less than to
    /// build it.
    pub(crate) fn of(&mut self, number: u32) -> &[u8] {
        let mut digits = [b'0'; DIGITS];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let path = self.paths[number as usize % self.paths.len()].as_bytes();
        self.bytes[METHOD.len()..METHOD.len() + path.len()].copy_from_slice(path);
        for place in self.places {
            self.bytes[place..place + DIGITS].copy_from_slice(&digits);
        }
        &self.bytes
    }
}

/// Reads the number of a payment from the body of its webhook.
pub(crate) fn number_in(body: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(RECEIPT)?;
    rest.get(..DIGITS)?.parse().ok()
}

/// The receipt of a payment.
pub(crate) fn receipt(number: u32) -> String {
    format!("R{number:0DIGITS$}")
}

/// Reads the number of a payment from its receipt.
pub(crate) fn number_of(receipt: &str) -> Option<u32> {
    receipt.strip_prefix('R')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_is_in_receipt_and_checkout_id() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let target = Target::new(address, vec!["/a".to_owned(), "/b".to_owned()]);
        let mut webhook = Webhook::stk_success(&target);
        for number in [7, 123_456_789] {
            let text = String::from_utf8(webhook.of(number).to_vec()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /b HTTP/1.1\r\n"), "{head}");
            assert!(head.ends_with(&format!("content-length: {}", body.len())));

            assert_eq!(number_in(body.as_bytes()), Some(number));
            let value: serde_json::Value = serde_json::from_str(body).unwrap();
            let callback = &value["Body"]["stkCallback"];
            let checkout_id = callback["CheckoutRequestID"].as_str().unwrap();
            assert!(checkout_id.ends_with(&format!("{number:09}")));
            let receipt = callback["CallbackMetadata"]["Item"][1]["Value"].as_str();
            assert_eq!(receipt.unwrap(), super::receipt(number));
            assert_eq!(number_of(receipt.unwrap()), Some(number));
        }
    }

    #[test]
    fn other_bodies_have_no_number() {
        for body in [&b"{}"[..], b"\xff", RECEIPT.as_bytes()] {
            assert_eq!(number_in(body), None);
        }
    }
}
