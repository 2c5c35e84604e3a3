//! Callbacks of an STK push.

use super::Mpesa;
use crate::draw::Draw;
use crate::traffic::formats::{self, Phone};
use crate::traffic::message::{Message, Report, key};

/// Result codes, as JSON, and descriptions of failed payments.
const FAILURES: [(&str, &str); 8] = [
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
    fn stk(&self, code: &str, description: &str, metadata: &str, reports: Report) -> Message {
        let merchant_request = format!("29115-{}-1", &self.receipt[2..]);
        let body = format!(
            r#"{{"Body":{{"stkCallback":{{"MerchantRequestID":"{merchant_request}","CheckoutRequestID":"{}","ResultCode":{code},"ResultDesc":"{description}"{metadata}}}}}}}"#,
            self.checkout_id
        );
        let code = code.trim_matches('"');
        self.message("stk", body, "stk", key(&[&self.checkout_id, code]), reports)
    }

    /// The items of the metadata come in two orders and several formats. Most callbacks
    /// have a balance without a value among them.
    pub(crate) fn stk_success(&self, draw: &mut Draw, phone: &Phone) -> Message {
        let amount = formats::json_amount(draw, self.amount);
        let date = formats::nairobi(self.at);
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
            Report::Paid,
        )
    }

    /// Reports success without amount or receipt, so the payment stays pending.
    pub(crate) fn stk_without_metadata(&self) -> Message {
        self.stk(
            "0",
            "The service request is processed successfully.",
            "",
            Report::Unclear,
        )
    }

    pub(crate) fn stk_failure(&self, draw: &mut Draw) -> Message {
        let (code, description) = *draw.choose(&FAILURES);
        self.stk(code, description, "", Report::Failed)
    }

    pub(crate) fn stk_timeout(&self) -> Message {
        self.stk(
            "1037",
            "DS timeout user cannot be reached",
            "",
            Report::Failed,
        )
    }

    pub(crate) fn stk_system_error(&self) -> Message {
        self.stk(
            "9999",
            "An error occurred while sending a push request.",
            "",
            Report::Unclear,
        )
    }
}
