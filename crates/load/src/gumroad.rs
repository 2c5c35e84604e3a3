//! Gumroad's pings: unsigned forms, in US cents, with a retry count from the second try on.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::draw::Draw;
use crate::fleet::Merchant;
use crate::message::{FORM, Message, Provider, Request, Tells, key};
use crate::spelling;

pub(crate) struct Sale<'a> {
    pub(crate) merchant: &'a Merchant,
    pub(crate) sale_id: String,
    pub(crate) order_number: String,
    pub(crate) amount: Decimal,
    pub(crate) at: Timestamp,
}

/// Percent-encodes as Gumroad does: spaces too.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    text.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

impl Sale<'_> {
    /// `resource` is none for the dashboard's test ping.
    fn body(&self, draw: &mut Draw, seller: &str, resource: Option<&str>) -> String {
        let is = |name: &str| {
            if resource == Some(name) {
                "true"
            } else {
                "false"
            }
        };
        let bracket = |name: &str, key: &str| {
            if self.order_number.ends_with('7') {
                format!("{name}[{key}]")
            } else {
                format!("{name}%5B{key}%5D")
            }
        };
        let mut fields = vec![
            format!("seller_id={}", encoded(seller)),
            "product_id=32-nPAicqbLj8B_WswVlMw%3D%3D".to_owned(),
            format!("product_name={}", encoded("Example Course – Part 1 & 2")),
            "email=buyer%2Btag%40example.com".to_owned(),
            format!("price={}", spelling::subunits(self.amount)),
            format!("currency={}", draw.one(&["usd", "kes", "eur"])),
            "quantity=1".to_owned(),
            format!("{}=visa", bracket("card", "type")),
            format!("order_number={}", self.order_number),
            format!("sale_id={}", encoded(&self.sale_id)),
            format!(
                "sale_timestamp={}",
                encoded(&self.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
            ),
            format!("{}=INV-1001", bracket("custom_fields", "Order%20Ref")),
            "is_gift_receiver_purchase=false".to_owned(),
            format!("refunded={}", is("refund")),
            format!("disputed={}", is("dispute")),
            "dispute_won=false".to_owned(),
        ];
        fields.extend(resource.map(|name| format!("resource_name={name}")));
        // A custom field of the seller may be named like a real one; the first counts.
        if draw.percent(10) {
            fields.push("price=1".to_owned());
        }
        fields.join("&")
    }

    fn message(&self, body: String, kind: &str, delivery_key: String, tells: Tells) -> Message {
        let path = format!("webhooks/gumroad/{}", self.merchant.webhook_secret);
        let request = Request {
            path,
            content_type: FORM,
            signature: None,
            body: body.into_bytes(),
        };
        Message::new(Provider::Gumroad, request, kind, delivery_key, tells)
    }

    fn seller(&self) -> &str {
        self.merchant.gumroad_seller.as_deref().unwrap_or_default()
    }

    pub(crate) fn sale(&self, draw: &mut Draw) -> Message {
        let body = self.body(draw, self.seller(), Some("sale"));
        self.message(body, "sale", key(&["sale", &self.sale_id]), Tells::Paid)
    }

    pub(crate) fn refund(&self, draw: &mut Draw) -> Message {
        let body = self.body(draw, self.seller(), Some("refund"));
        let delivery_key = key(&["refund", &self.sale_id, "refunded"]);
        self.message(body, "refund", delivery_key, Tells::Returned(self.amount))
    }

    /// The dashboard repeats the last real sale as a test.
    pub(crate) fn test_ping(&self, draw: &mut Draw) -> Message {
        let body = format!("{}&test=true", self.body(draw, self.seller(), None));
        self.message(
            body,
            "ping",
            key(&["ping", &self.sale_id, "test"]),
            Tells::Nothing,
        )
    }

    /// Somebody who knows the address claims a sale of a shop that is not ours.
    pub(crate) fn foreign(&self, draw: &mut Draw) -> Message {
        let body = self.body(draw, "somebody-else==", Some("sale"));
        self.message(
            body,
            "sale",
            key(&["sale", &self.sale_id, "foreign"]),
            Tells::Nothing,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_decode_to_what_was_meant() {
        let fleet = crate::fleet::tests::sample();
        let sale = Sale {
            merchant: &fleet.merchants[0],
            sale_id: "FO8TXN-dbxYaBdahG97Y-Q==".to_owned(),
            order_number: "524459935".to_owned(),
            amount: "25".parse().unwrap(),
            at: "2026-09-28T07:15:29Z".parse().unwrap(),
        };
        let mut draw = Draw::new(1, 1);
        let message = sale.sale(&mut draw);
        let body = String::from_utf8(message.request.body).unwrap();
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        let first = |name: &str| {
            fields
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(first("sale_id"), Some("FO8TXN-dbxYaBdahG97Y-Q=="));
        assert_eq!(first("price"), Some("2500"));
        assert_eq!(first("seller_id"), Some("duka=="));
        assert_eq!(first("custom_fields[Order Ref]"), Some("INV-1001"));
        assert_eq!(
            sale.test_ping(&mut draw).meaning.delivery_key,
            "ping:FO8TXN-dbxYaBdahG97Y-Q==:test"
        );
    }
}
