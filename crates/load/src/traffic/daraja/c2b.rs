//! C2B validations and confirmations.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::Mpesa;
use crate::draw::Draw;
use crate::traffic::formats::{self, Phone};
use crate::traffic::message::{Message, Report, key};

impl Mpesa<'_> {
    fn c2b(&self, draw: &mut Draw, short_code: &str, phone: &Phone, balance: &str) -> String {
        // The clocks of the two channels may differ by a second.
        let at = self.at + SignedDuration::from_secs(draw.number(0..=1) as i64);
        let mut body = json!({
            "TransactionType": draw.choose(&["Pay Bill", "Customer Merchant Payment", "Buy Goods"]),
            "TransID": self.receipt,
            "TransTime": formats::nairobi(at),
            "TransAmount": formats::amount(draw, self.amount),
            "BusinessShortCode": short_code,
            "BillRefNumber": draw.choose(&["INV-1001", " inv 1003 ", "", "ORDER-0001"]),
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
        reports: Report,
    ) -> Message {
        let body = self.c2b(draw, short_code, phone, "49198.00");
        let delivery_key = key(&["confirmation", &self.receipt]);
        self.message(
            "c2b/confirmation",
            body,
            "c2b_confirmation",
            delivery_key,
            reports,
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
            Report::Nothing,
        )
    }
}
