//! M-Pesa's messages, in the shapes that were documented or captured.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::draw::Draw;
use crate::fleet::Merchant;
use crate::message::{JSON, Message, Provider, Request, Tells, key};
use crate::spelling::{self, Phone};

/// What is known of one M-Pesa payment, on whatever channel it is told.
pub(crate) struct Mpesa<'a> {
    pub(crate) merchant: &'a Merchant,
    pub(crate) checkout_id: String,
    pub(crate) receipt: String,
    pub(crate) amount: Decimal,
    pub(crate) at: Timestamp,
    pub(crate) phone: String,
}

/// Failures that need no more words than their code.
pub(crate) const FAILURES: [(&str, &str); 8] = [
    ("1", "The balance is insufficient for the transaction."),
    ("17", "System internal error."),
    ("1019", "Transaction has expired"),
    ("1025", "An error occurred while sending a push request."),
    ("1032", "Request cancelled by user"),
    ("1037", "No response from user."),
    ("2001", "The initiator information is invalid."),
    ("\"SFC_IC0003\"", "The operator does not exist."),
];

impl Mpesa<'_> {
    fn message(
        &self,
        route: &str,
        body: String,
        kind: &str,
        delivery_key: String,
        tells: Tells,
    ) -> Message {
        let path = format!("webhooks/daraja/{}/{route}", self.merchant.webhook_secret);
        let request = Request {
            path,
            content_type: JSON,
            signature: None,
            body: body.into_bytes(),
        };
        Message::new(Provider::Daraja, request, kind, delivery_key, tells)
    }

    fn stk(&self, code: &str, description: &str, metadata: &str, tells: Tells) -> Message {
        let merchant_request = format!("29115-{}-1", &self.receipt[2..]);
        let body = format!(
            r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"{merchant_request}","CheckoutRequestID":"{}","ResultCode":{code},"ResultDesc":"{description}"{metadata}}}}}}}"#,
            self.checkout_id
        );
        let code = code.trim_matches('"');
        self.message("stk", body, "stk", key(&[&self.checkout_id, code]), tells)
    }

    /// Amount, receipt, date and phone in any order and spelling, beside a balance without a value.
    pub(crate) fn stk_success(&self, draw: &mut Draw, phone: &Phone) -> Message {
        let amount = spelling::json_amount(draw, self.amount);
        let date = spelling::nairobi(self.at);
        let date = if draw.percent(8) {
            format!("\"{date}\"")
        } else {
            date
        };
        let mut items = vec![
            format!(r#"{{"Name":"Amount","Value":{amount}}}"#),
            format!(
                r#"{{"Name":"MpesaReceiptNumber","Value":"{}"}}"#,
                self.receipt
            ),
            format!(r#"{{"Name":"TransactionDate","Value":{date}}}"#),
        ];
        if draw.percent(70) {
            items.insert(2, r#"{"Name":"Balance"}"#.to_owned());
        }
        if let Some(phone) = &phone.sent {
            items.push(format!(r#"{{"Name":"PhoneNumber","Value":{phone}}}"#));
        }
        if draw.percent(15) {
            items.rotate_left(2);
        }
        let code = if draw.percent(8) { "\"0\"" } else { "0" };
        let metadata = format!(r#","CallbackMetadata":{{"Item":[{}]}}"#, items.join(","));
        self.stk(
            code,
            "The service request is processed successfully.",
            &metadata,
            Tells::Paid,
        )
    }

    /// Paid, it says, and not what: a person or a query has to find out.
    pub(crate) fn stk_without_metadata(&self) -> Message {
        self.stk(
            "0",
            "The service request is processed successfully.",
            "",
            Tells::Unclear,
        )
    }

    pub(crate) fn stk_failure(&self, draw: &mut Draw) -> Message {
        let (code, description) = *draw.one(&FAILURES);
        self.stk(code, description, "", Tells::Failed)
    }

    pub(crate) fn stk_timeout(&self) -> Message {
        self.stk(
            "1037",
            "DS timeout user cannot be reached",
            "",
            Tells::Failed,
        )
    }

    pub(crate) fn stk_system_error(&self) -> Message {
        self.stk(
            "9999",
            "An error occurred while sending a push request.",
            "",
            Tells::Unclear,
        )
    }

    fn c2b(&self, draw: &mut Draw, short_code: &str, phone: &Phone, balance: &str) -> String {
        // The other channel's clock may be a second off.
        let at = self.at + SignedDuration::from_secs(draw.number(0..=1) as i64);
        let mut body = json!({
            "TransactionType": draw.one(&["Pay Bill", "Customer Merchant Payment", "Buy Goods"]),
            "TransID": self.receipt,
            "TransTime": spelling::nairobi(at),
            "TransAmount": spelling::amount(draw, self.amount),
            "BusinessShortCode": short_code,
            "BillRefNumber": draw.one(&["INV-1001", " inv 1003 ", "", "ORDER-0001"]),
            "InvoiceNumber": "",
            "OrgAccountBalance": balance,
            "ThirdPartyTransID": "",
            "MSISDN": "",
            "FirstName": "TEST",
        });
        let phone = phone
            .sent
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        body["MSISDN"] = phone.unwrap_or(Value::Null);
        if draw.percent(30) {
            body["MiddleName"] = Value::Null;
            body["LastName"] = "PAYER".into();
        }
        body.to_string()
    }

    pub(crate) fn c2b_confirmation(
        &self,
        draw: &mut Draw,
        short_code: &str,
        phone: &Phone,
        tells: Tells,
    ) -> Message {
        let body = self.c2b(draw, short_code, phone, "49198.00");
        let delivery_key = key(&["confirmation", &self.receipt]);
        self.message(
            "c2b/confirmation",
            body,
            "c2b_confirmation",
            delivery_key,
            tells,
        )
    }

    pub(crate) fn c2b_validation(
        &self,
        draw: &mut Draw,
        short_code: &str,
        phone: &Phone,
    ) -> Message {
        let body = self.c2b(draw, short_code, phone, "");
        let delivery_key = key(&["validation", &self.receipt]);
        self.message(
            "c2b/validation",
            body,
            "c2b_validation",
            delivery_key,
            Tells::Nothing,
        )
    }

    pub(crate) fn reversal(&self, draw: &mut Draw, amount: Decimal) -> Message {
        let conversation = format!(
            "AG_{}_2010{:0>16}",
            &spelling::nairobi(self.at)[..8],
            self.receipt.to_lowercase()
        );
        let body = format!(
            r#"{{"Result":{{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.","OriginatorConversationID":"71840-{conversation}","ConversationID":"{conversation}","TransactionID":"UIS7{:06}","ResultParameters":{{"ResultParameter":[{{"Key":"DebitAccountBalance","Value":"Utility Account|KES|51661.00|51661.00|0.00|0.00"}},{{"Key":"Amount","Value":{}}},{{"Key":"TransCompletedTime","Value":{}}},{{"Key":"OriginalTransactionID","Value":"{}"}},{{"Key":"Charge","Value":0.00}}]}},"ReferenceData":{{"ReferenceItem":{{"Key":"QueueTimeoutURL","Value":"https://internalapi.example.com/queue/v1/submit"}}}}}}}}"#,
            draw.number(0..=999_999),
            spelling::amount(draw, amount),
            spelling::nairobi(self.at + SignedDuration::from_secs(60)),
            self.receipt,
        );
        let delivery_key = key(&["reversal_result", &conversation]);
        self.message(
            "result",
            body,
            "reversal_result",
            delivery_key,
            Tells::Returned(amount),
        )
    }
}

/// Money that a merchant pays out is no sale, however it ends.
impl Mpesa<'_> {
    fn conversation(&self) -> String {
        format!(
            "AG_{}_2020{:0>16}",
            &spelling::nairobi(self.at)[..8],
            self.receipt.to_lowercase()
        )
    }

    pub(crate) fn payout(&self, draw: &mut Draw) -> Message {
        let conversation = self.conversation();
        let body = format!(
            r#"{{"Result":{{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.","OriginatorConversationID":"{conversation}-o","ConversationID":"{conversation}","TransactionID":"{receipt}","ResultParameters":{{"ResultParameter":[{{"Key":"TransactionAmount","Value":{}}},{{"Key":"TransactionReceipt","Value":"{receipt}"}},{{"Key":"ReceiverPartyPublicName","Value":"{} - TEST PAYEE"}},{{"Key":"B2CChargesPaidAccountAvailableFunds","Value":-4510.00}}]}}}}}}"#,
            spelling::amount(draw, self.amount),
            self.phone,
            receipt = self.receipt,
        );
        self.message(
            "result",
            body,
            "b2c_result",
            key(&["b2c_result", &conversation]),
            Tells::Nothing,
        )
    }

    pub(crate) fn payout_failure(&self) -> Message {
        let conversation = self.conversation();
        let body = format!(
            r#"{{"Result":{{"ResultType":0,"ResultCode":2001,"ResultDesc":"The initiator information is invalid.","OriginatorConversationID":"{conversation}-o","ConversationID":"{conversation}","TransactionID":"SKE0000000"}}}}"#
        );
        self.message(
            "result",
            body,
            "other_result",
            key(&["other_result", &conversation]),
            Tells::Nothing,
        )
    }

    /// The request comes back as it was, credentials and all.
    pub(crate) fn payout_timeout(&self, draw: &mut Draw) -> Message {
        let originator = format!("{}-o", self.conversation());
        let body = json!({
            "OriginatorConversationID": originator,
            "InitiatorName": "testapi",
            "SecurityCredential": draw.hex(64),
            "CommandID": "BusinessPayment",
            "Amount": spelling::amount(draw, self.amount),
            "PartyA": 600_000,
            "PartyB": self.phone,
            "Remarks": "payout",
        });
        let delivery_key = key(&["timeout", &originator]);
        self.message(
            "timeout",
            body.to_string(),
            "queue_timeout",
            delivery_key,
            Tells::Nothing,
        )
    }
}

/// Unique per seed and payment, in M-Pesa's form of ten capitals and digits.
pub(crate) fn receipt(seed: u64, story: u64) -> String {
    let digits = |mut number: u64, count: usize| -> String {
        let mut text = vec![b'0'; count];
        for place in text.iter_mut().rev() {
            *place = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(number % 36) as usize];
            number /= 36;
        }
        text.into_iter().map(char::from).collect()
    };
    format!("U{}{}", digits(seed, 3), digits(story, 6))
}

/// As recent ids are made: a moment to the millisecond and the payer's last nine digits.
pub(crate) fn checkout_id(draw: &mut Draw, story: u64, at: Timestamp, phone: &str) -> String {
    let local = spelling::nairobi(at);
    let day = format!(
        "{}{}{}{}",
        &local[6..8],
        &local[4..6],
        &local[..4],
        &local[8..]
    );
    if draw.percent(10) {
        return format!("ws_CO_DMZ_{story:08}_{day}{:03}", draw.number(0..=999));
    }
    format!("ws_CO_{day}{:03}{}", story % 1000, &phone[3..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(merchant: &Merchant) -> Mpesa<'_> {
        Mpesa {
            merchant,
            checkout_id: "ws_CO_1".to_owned(),
            receipt: receipt(7, 35),
            amount: "1160.50".parse().unwrap(),
            at: "2026-09-28T07:15:29Z".parse().unwrap(),
            phone: "254712345678".to_owned(),
        }
    }

    fn body(message: &Message) -> Value {
        serde_json::from_slice(&message.request.body).unwrap()
    }

    #[test]
    fn a_receipt_is_unique_and_looks_like_one() {
        assert_eq!(receipt(7, 35), "U00700000Z");
        assert_ne!(receipt(7, 36), receipt(8, 36));
    }

    #[test]
    fn every_message_is_json_with_a_key() {
        let fleet = crate::fleet::tests::sample();
        let payment = payment(&fleet.merchants[0]);
        for stream in 0..100 {
            let mut draw = Draw::new(1, stream);
            let phone = spelling::stk_phone(&mut draw, &payment.phone);
            let paid = payment.stk_success(&mut draw, &phone);
            assert_eq!(paid.meaning.delivery_key, "ws_CO_1:0");
            assert_eq!(
                body(&paid)["Body"]["stkCallback"]["CheckoutRequestID"],
                "ws_CO_1"
            );
            let failed = payment.stk_failure(&mut draw);
            assert!(!failed.meaning.delivery_key.contains('"'));
            body(&failed);
            let phone = spelling::c2b_phone(&mut draw, &payment.phone);
            let twin = payment.c2b_confirmation(&mut draw, "600001", &phone, Tells::Confirmed);
            assert_eq!(body(&twin)["TransID"], "U00700000Z");
            assert_eq!(twin.meaning.delivery_key, "confirmation:U00700000Z");
            let back = payment.reversal(&mut draw, Decimal::ONE);
            assert_eq!(body(&back)["Result"]["ResultCode"], 0);
        }
    }
}
