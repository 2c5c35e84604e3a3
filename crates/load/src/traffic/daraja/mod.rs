//! M-Pesa's messages, in the shapes that Daraja documents or that were captured.

mod c2b;
mod result;
mod stk;

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::formats;
use super::message::{JSON, Message, Provider, Report, Request};
use crate::draw::Draw;
use crate::fleet::Merchant;

/// The facts of one M-Pesa payment, which messages of several channels report.
pub(crate) struct Mpesa<'a> {
    pub(crate) merchant: &'a Merchant,
    pub(crate) checkout_id: String,
    pub(crate) receipt: String,
    pub(crate) amount: Decimal,
    pub(crate) at: Timestamp,
    pub(crate) phone: String,
}

impl Mpesa<'_> {
    fn message(
        &self,
        route: &str,
        body: String,
        kind: &str,
        delivery_key: String,
        reports: Report,
    ) -> Message {
        let path = format!("webhooks/daraja/{}/{route}", self.merchant.webhook_secret);
        let request = Request {
            path,
            content_type: JSON,
            signature: None,
            body: body.into_bytes(),
        };
        Message::new(Provider::Daraja, request, kind, delivery_key, reports)
    }
}

/// A receipt number in M-Pesa's form of ten capitals and digits, unique per seed and payment.
pub(crate) fn receipt(seed: u64, number: u64) -> String {
    let digits = |mut number: u64, count: usize| -> String {
        let mut text = vec![b'0'; count];
        for place in text.iter_mut().rev() {
            *place = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(number % 36) as usize];
            number /= 36;
        }
        text.into_iter().map(char::from).collect()
    };
    format!("U{}{}", digits(seed, 3), digits(number, 6))
}

/// A check-out id like Daraja's recent ones: the time to the millisecond, then the last nine digits
/// of the phone. One in ten has another form.
pub(crate) fn checkout_id(draw: &mut Draw, number: u64, at: Timestamp, phone: &str) -> String {
    let local = formats::nairobi(at);
    let day = format!(
        "{}{}{}{}",
        &local[6..8],
        &local[4..6],
        &local[..4],
        &local[8..]
    );
    if draw.percent(10) {
        return format!("ws_CO_DMZ_{number:08}_{day}{:03}", draw.number(0..=999));
    }
    format!("ws_CO_{day}{:03}{}", number % 1000, &phone[3..])
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::fleet::tests::sample;

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
    fn receipts_are_unique() {
        assert_eq!(receipt(7, 35), "U00700000Z");
        assert_ne!(receipt(7, 36), receipt(8, 36));
    }

    #[test]
    fn every_message_is_json_with_a_delivery_key() {
        let fleet = sample();
        let payment = payment(&fleet.merchants[0]);
        for stream in 0..100 {
            let mut draw = Draw::new(1, stream);
            let phone = formats::stk_phone(&mut draw, &payment.phone);
            let paid = payment.stk_success(&mut draw, &phone);
            assert_eq!(paid.meaning.delivery_key, "ws_CO_1:0");
            assert_eq!(
                body(&paid)["Body"]["stkCallback"]["CheckoutRequestID"],
                "ws_CO_1"
            );

            let failed = payment.stk_failure(&mut draw);
            assert!(!failed.meaning.delivery_key.contains('"'));
            body(&failed);

            let phone = formats::c2b_phone(&mut draw, &payment.phone);
            let confirmation =
                payment.c2b_confirmation(&mut draw, "600001", &phone, Report::Confirmed);
            assert_eq!(body(&confirmation)["TransID"], "U00700000Z");
            assert_eq!(confirmation.meaning.delivery_key, "confirmation:U00700000Z");

            let reversal = payment.reversal(&mut draw, Decimal::ONE);
            assert_eq!(body(&reversal)["Result"]["ResultCode"], 0);
        }
    }
}
