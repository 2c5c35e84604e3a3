//! Paystack's messages. They are signed, have amounts in hundredths, and are repeated until one is
//! answered 200.

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use rust_decimal::Decimal;
use sha2::Sha512;

use super::formats;
use super::message::{Message, Provider, Report, Request, key};
use crate::draw::Draw;
use crate::fleet::Merchant;

pub(crate) struct Charge<'a> {
    pub(crate) merchant: &'a Merchant,
    pub(crate) reference: String,
    pub(crate) amount: Decimal,
    pub(crate) currency: &'static str,
    pub(crate) at: Timestamp,
    pub(crate) phone: String,
}

/// Signs a body with HMAC-SHA512, in hex.
pub(crate) fn sign(secret_key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret_key.as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

pub(crate) fn path(merchant: &Merchant) -> String {
    format!("webhooks/paystack/{}", merchant.slug)
}

impl Charge<'_> {
    fn message(
        &self,
        draw: &mut Draw,
        body: String,
        kind: &str,
        delivery_key: String,
        reports: Report,
    ) -> Message {
        let secret_key: &String = draw.choose(&self.merchant.paystack_keys);
        let signature = sign(secret_key, body.as_bytes());
        let request = Request {
            path: path(self.merchant),
            content_type: "application/json",
            signature: Some(signature),
            body: body.into_bytes(),
        };
        Message::new(Provider::Paystack, request, kind, delivery_key, reports)
    }

    fn charge_body(&self, draw: &mut Draw, domain: &str) -> String {
        let amount = formats::subunits(self.amount);
        let reference = &self.reference;
        let currency = self.currency;
        let at = formats::utc(self.at);
        let metadata = draw.choose(&[
            "0",
            "\"\"",
            "null",
            r#"{"order_id":"123","cart":"{\"items\":1}"}"#,
        ]);
        let plan = draw.choose(&["{}", "null", "[]"]);
        let name = draw.choose(&["null", "\"Zo\u{eb}\"", "\"Wanjik\\u0169\""]);
        format!(
            r#"{{"event":"charge.success","data":{{"id":{},"domain":"{domain}","status":"success","reference":"{reference}","amount":{amount},"message":null,"gateway_response":"Approved","paid_at":"{at}","created_at":"{at}","channel":"mobile_money","currency":"{currency}","ip_address":"203.0.113.10","metadata":{metadata},"log":null,"fees":2250,"fees_split":null,"authorization":{{"authorization_code":"AUTH_test000001","bin":"071XXX","last4":"X000","channel":"mobile_money","bank":"M-PESA","country_code":"KE","brand":"M-pesa","reusable":false,"signature":null,"mobile_money_number":"0{}"}},"customer":{{"id":310000001,"first_name":{name},"email":"buyer@example.com","phone":""}},"plan":{plan},"subaccount":{{}},"split":{{}},"order_id":null,"paidAt":"{at}","requested_amount":{amount}}}}}"#,
            6_485_000_000 + draw.number(0..=999_999),
            &self.phone[3..],
        )
    }

    pub(crate) fn success(&self, draw: &mut Draw) -> Message {
        let body = self.charge_body(draw, "live");
        let delivery_key = key(&["paystack", "charge.success", &self.reference]);
        self.message(draw, body, "charge.success", delivery_key, Report::Paid)
    }

    /// A charge of the dashboard's test mode, sent to the live address.
    pub(crate) fn test_mode(&self, draw: &mut Draw) -> Message {
        let body = self.charge_body(draw, "test");
        let delivery_key = key(&["paystack", "test", "charge.success", &self.reference]);
        self.message(draw, body, "charge.success", delivery_key, Report::Nothing)
    }

    /// A refund is reported as pending, without a reference of its own, and then as processed. Its
    /// amounts are text.
    pub(crate) fn refund(&self, draw: &mut Draw, part: u32, amount: Decimal) -> [Message; 2] {
        let subunits = formats::subunits(amount);
        let own_reference = format!(
            "1320{:0>8}{part:02}",
            &self.reference[self.reference.len() - 8..]
        );

        let mut message = |event: &str, own: &str, quoted_own: String, reports: Report| {
            let state = event.trim_start_matches("refund.");
            let body = format!(
                r#"{{"event":"{event}","data":{{"status":"{state}","transaction_reference":"{}","refund_reference":{quoted_own},"amount":"{subunits}","currency":"{}","processor":"mpesa","customer":{{"first_name":null,"last_name":null,"email":"buyer@example.com"}},"integration":412829,"domain":"live"}}}}"#,
                self.reference, self.currency
            );
            let delivery_key = key(&[
                "paystack",
                event,
                &self.reference,
                own,
                &format!("{amount:.2}"),
            ]);
            self.message(draw, body, event, delivery_key, reports)
        };

        [
            message("refund.pending", "", "null".to_owned(), Report::Nothing),
            message(
                "refund.processed",
                &own_reference,
                format!("\"{own_reference}\""),
                Report::Returned(amount),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fleet::tests::sample;

    #[test]
    fn signature_matches_paystacks() {
        let key = format!("sk_test_{}", "0".repeat(40));
        let body = br#"{"event":"charge.success","data":{"id":302961,"reference":"ref_0001","amount":150000,"currency":"KES","status":"success"}}"#;
        assert!(sign(&key, body).starts_with("403050d05b5db0dee0a8f5f958b5361d42a83274e1aa55ab"));
    }

    #[test]
    fn refunds_of_two_parts_have_two_delivery_keys() {
        let fleet = sample();
        let charge = Charge {
            merchant: &fleet.merchants[0],
            reference: "order-00000012-a1b2c3d4".to_owned(),
            amount: "1500".parse().unwrap(),
            currency: "KES",
            at: "2026-09-28T07:15:29Z".parse().unwrap(),
            phone: "254712345678".to_owned(),
        };
        for stream in 0..50 {
            let mut draw = Draw::new(2, stream);
            let paid = charge.success(&mut draw);
            let body: Value = serde_json::from_slice(&paid.request.body).unwrap();
            assert_eq!(body["data"]["amount"], 150_000);
            let [pending, done] = charge.refund(&mut draw, 1, Decimal::TEN);
            let body: Value = serde_json::from_slice(&done.request.body).unwrap();
            assert_eq!(body["data"]["amount"], "1000");
            assert_ne!(pending.meaning.delivery_key, done.meaning.delivery_key);
            let [_, other] = charge.refund(&mut draw, 2, Decimal::TEN);
            assert_ne!(other.meaning.delivery_key, done.meaning.delivery_key);
        }
    }
}
