//! Gumroad's pings. They are unsigned forms with amounts in US cents, and carry a retry count from
//! the second try on.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::formats;
use super::message::{FORM, Message, Provider, Report, Request, key};
use crate::draw::Draw;
use crate::fleet::Merchant;

pub(crate) struct Sale<'a> {
    pub(crate) merchant: &'a Merchant,
    pub(crate) sale_id: String,
    pub(crate) order_number: String,
    pub(crate) amount: Decimal,
    pub(crate) at: Timestamp,
}

/// Percent-encodes as Gumroad does, spaces included.
fn percent_encoded(text: &str) -> String {
    let is_unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    text.bytes()
        .map(|b| {
            if is_unreserved(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

impl Sale<'_> {
    /// `resource` is the event that the ping reports. The dashboard's test ping reports none.
    fn body(&self, draw: &mut Draw, seller: &str, resource: Option<&str>) -> String {
        let is_resource = |name: &str| {
            if resource == Some(name) {
                "true"
            } else {
                "false"
            }
        };
        // Brackets in field names may come encoded or plain, and both must be read.
        let bracketed = |name: &str, key: &str| {
            if self.order_number.ends_with('7') {
                format!("{name}[{key}]")
            } else {
                format!("{name}%5B{key}%5D")
            }
        };

        let mut fields = vec![
            format!("seller_id={}", percent_encoded(seller)),
            "product_id=32-nPAicqbLj8B_WswVlMw%3D%3D".to_owned(),
            format!(
                "product_name={}",
                percent_encoded("Example Course – Part 1 & 2")
            ),
            "email=buyer%2Btag%40example.com".to_owned(),
            format!("price={}", formats::subunits(self.amount)),
            format!("currency={}", draw.choose(&["usd", "kes", "eur"])),
            "quantity=1".to_owned(),
            format!("{}=visa", bracketed("card", "type")),
            format!("order_number={}", self.order_number),
            format!("sale_id={}", percent_encoded(&self.sale_id)),
            format!(
                "sale_timestamp={}",
                percent_encoded(&self.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
            ),
            format!("{}=INV-1001", bracketed("custom_fields", "Order%20Ref")),
            "is_gift_receiver_purchase=false".to_owned(),
            format!("refunded={}", is_resource("refund")),
            format!("disputed={}", is_resource("dispute")),
            "dispute_won=false".to_owned(),
        ];
        fields.extend(resource.map(|name| format!("resource_name={name}")));
        // A seller's custom field may have the name of a real one. The first of them counts.
        if draw.percent(10) {
            fields.push("price=1".to_owned());
        }
        fields.join("&")
    }

    fn message(&self, body: String, kind: &str, delivery_key: String, reports: Report) -> Message {
        let path = format!("webhooks/gumroad/{}", self.merchant.webhook_secret);
        let request = Request {
            path,
            content_type: FORM,
            signature: None,
            body: body.into_bytes(),
        };
        Message::new(Provider::Gumroad, request, kind, delivery_key, reports)
    }

    fn seller(&self) -> &str {
        self.merchant.gumroad_seller.as_deref().unwrap_or_default()
    }

    pub(crate) fn sale(&self, draw: &mut Draw) -> Message {
        let body = self.body(draw, self.seller(), Some("sale"));
        self.message(body, "sale", key(&["sale", &self.sale_id]), Report::Paid)
    }

    pub(crate) fn refund(&self, draw: &mut Draw) -> Message {
        let body = self.body(draw, self.seller(), Some("refund"));
        let delivery_key = key(&["refund", &self.sale_id, "refunded"]);
        self.message(body, "refund", delivery_key, Report::Returned(self.amount))
    }

    /// The test ping of the dashboard, which repeats the last real sale.
    pub(crate) fn test_ping(&self, draw: &mut Draw) -> Message {
        let body = format!("{}&test=true", self.body(draw, self.seller(), None));
        self.message(
            body,
            "ping",
            key(&["ping", &self.sale_id, "test"]),
            Report::Nothing,
        )
    }

    /// A forged ping to a known address, about a sale of another seller.
    pub(crate) fn other_seller(&self, draw: &mut Draw) -> Message {
        let body = self.body(draw, "somebody-else==", Some("sale"));
        self.message(
            body,
            "sale",
            key(&["sale", &self.sale_id, "foreign"]),
            Report::Nothing,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::sample;

    #[test]
    fn form_decodes_to_its_fields() {
        let fleet = sample();
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
