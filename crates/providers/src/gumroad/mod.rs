//! Gumroad's pings: unsigned forms about sales in US dollars.

mod fields;

use risiti_domain::{Currency, Money, PaymentMethod};

use crate::event::{Event, Outcome, PaymentReport, ReversalOutcome, ReversalReport};
use crate::identifier::key;
use crate::json;
use crate::{Account, BodyFormat, Unreadable, amount, time};
use fields::Fields;

pub(crate) fn parse_ping(
    format: BodyFormat,
    body: &[u8],
    account: &Account,
) -> Result<Event, Unreadable> {
    match format {
        BodyFormat::Form => parse_fields(&Fields::form(body), account),
        BodyFormat::Json => json::read(body, |root| parse_fields(&Fields::json(root)?, account)),
    }
}

fn parse_fields(fields: &Fields<'_>, account: &Account) -> Result<Event, Unreadable> {
    let is_test = fields.is_true("test");
    let kind = match fields.identifier("resource_name")? {
        Some(name) => name,
        // The test ping of Gumroad's dashboard repeats the last sale and names no resource.
        None if is_test => "ping".to_owned(),
        None => return Err(fields.missing("resource_name")),
    };
    let seller = fields.identifier("seller_id")?;
    let is_foreign = account.gumroad_seller_id.is_some() && seller != account.gumroad_seller_id;

    match kind.as_str() {
        "sale" | "refund" | "dispute" | "dispute_won" | "ping" => {
            parse_sale(kind, fields, is_test, is_foreign)
        }
        _ => parse_subscription(kind, fields, is_test),
    }
}

/// Reads a ping about one sale.
fn parse_sale(
    kind: String,
    fields: &Fields<'_>,
    is_test: bool,
    is_foreign: bool,
) -> Result<Event, Unreadable> {
    let sale_id = fields.required_identifier("sale_id")?;

    // A test or a foreign sale has a key of its own, so that it cannot take that of a real sale.
    let mut parts = vec![kind.as_str(), sale_id.as_str()];
    parts.extend(is_test.then_some("test"));
    parts.extend(is_foreign.then_some("foreign"));
    parts.extend(
        ["refunded", "disputed", "dispute_won"]
            .into_iter()
            .filter(|state| fields.is_true(state)),
    );
    let delivery_key = key(&parts);

    if is_test {
        return Ok(Event::other(kind, delivery_key, "a test moves no money"));
    }
    if is_foreign {
        return Ok(Event::other(kind, delivery_key, "a sale of another seller"));
    }

    let report = match kind.as_str() {
        "sale" => {
            let report = sale_report(fields, sale_id)?;
            return Ok(Event::payment(kind, delivery_key, report));
        }
        "refund" if !fields.is_true("refunded") => {
            let reason = "a refund of part of a sale; pings do not state its amount";
            return Ok(Event::other(kind, delivery_key, reason));
        }
        "refund" => reversal_report("refund", sale_id, ReversalOutcome::Done),
        "dispute" => reversal_report("dispute", sale_id, ReversalOutcome::Done),
        "dispute_won" => reversal_report("dispute", sale_id, ReversalOutcome::Undone),
        _ => {
            let reason = "a ping that names no sale event";
            return Ok(Event::other(kind, delivery_key, reason));
        }
    };
    Ok(Event::reversal(kind, delivery_key, report))
}

fn sale_report(fields: &Fields<'_>, sale_id: String) -> Result<PaymentReport, Unreadable> {
    let amount = price(fields)?;
    Ok(PaymentReport {
        outcome: if fields.is_true("is_preorder_authorization") {
            Outcome::unknown("a pre-order is authorised, not charged")
        } else {
            Outcome::from_paid(Some(&sale_id), Some(amount))
        },
        money_key: Some(sale_id),
        checkout_id: None,
        reference: None,
        receipt: fields.identifier("order_number")?,
        amount: Some(amount),
        phone: None,
        occurred_at: fields.get("sale_timestamp").and_then(time::iso),
        short_code: None,
        method: match fields.get("card[type]") {
            None | Some("paypal") => PaymentMethod::Other,
            Some(_) => PaymentMethod::Card,
        },
    })
}

/// The price in US cents, whatever `currency` says, because that is only how the product is
/// displayed. The one ping of a gift is about its receiver, who paid nothing. `gift_price` is what
/// the giver paid.
fn price(fields: &Fields<'_>) -> Result<Money, Unreadable> {
    let gift = fields
        .is_true("is_gift_receiver_purchase")
        .then(|| fields.get("gift_price"))
        .flatten();
    let (name, text) = match gift {
        Some(text) => ("gift_price", text),
        None => (
            "price",
            fields.get("price").ok_or_else(|| fields.missing("price"))?,
        ),
    };
    amount::subunits(name, text, Currency::USD)
}

/// A reversal of the whole sale. Pings state neither a refund's id nor its amount.
fn reversal_report(what: &str, sale_id: String, outcome: ReversalOutcome) -> ReversalReport {
    ReversalReport {
        reversal_key: key(&[what, &sale_id]),
        other_keys: Vec::new(),
        of_money_key: sale_id,
        amount: None,
        outcome,
        occurred_at: None,
    }
}

/// Reads an event of a subscription, or one that is not documented. Its time is part of the
/// delivery key. Without a time, a digest of all fields but the retry count is.
fn parse_subscription(
    kind: String,
    fields: &Fields<'_>,
    is_test: bool,
) -> Result<Event, Unreadable> {
    let id = fields.identifier("subscription_id")?;
    let mut at = None;
    for name in [
        "ended_at",
        "cancelled_at",
        "restarted_at",
        "effective_as_of",
    ] {
        at = at.or(fields.identifier(name)?);
    }
    let own = match (id, at) {
        (Some(id), Some(at)) => [id, at],
        (id, _) => [id.unwrap_or_default(), fields.digest()],
    };
    let mut parts = vec![kind.as_str(), own[0].as_str(), own[1].as_str()];
    parts.extend(is_test.then_some("test"));
    let delivery_key = key(&parts);
    Ok(Event::other(
        kind,
        delivery_key,
        "an event that moves no payment",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventBody;

    fn read(body: &str) -> Result<Event, Unreadable> {
        let account = Account {
            gumroad_seller_id: Some("S==".to_owned()),
            paystack_live: None,
        };
        parse_ping(
            BodyFormat::Form,
            format!("seller_id=S%3D%3D&sale_id=A%3D%3D&{body}").as_bytes(),
            &account,
        )
    }

    fn payment(body: &str) -> PaymentReport {
        match read(body).unwrap().body {
            EventBody::Payment(report) => report,
            other => panic!("{other:?} is not a payment"),
        }
    }

    #[test]
    fn prices_are_us_cents_in_any_display_currency() {
        let report = payment("resource_name=sale&price=1999&currency=kes");
        assert_eq!(report.amount.unwrap().to_string(), "USD 19.99");
        let gift =
            payment("resource_name=sale&price=0&is_gift_receiver_purchase=true&gift_price=500");
        assert_eq!(gift.amount.unwrap().to_string(), "USD 5.00");
        let free = payment("resource_name=sale&price=0");
        assert_eq!(
            free.outcome,
            Outcome::unknown("paid, but the amount rounds to 0.00")
        );
        let preorder = payment("resource_name=sale&price=100&is_preorder_authorization=true");
        assert!(matches!(preorder.outcome, Outcome::Unknown { .. }));
    }

    #[test]
    fn custom_field_cannot_replace_a_real_one() {
        let report =
            payment("resource_name=sale&price=2500&price=1&sale_id=B&test=&test=true&seller_id=T");
        assert_eq!(
            (report.money_key.as_deref(), report.outcome),
            (Some("A=="), Outcome::Succeeded)
        );
        assert_eq!(report.amount.unwrap().to_string(), "USD 25.00");
    }

    #[test]
    fn json_reads_as_the_same_form() {
        let account = Account {
            gumroad_seller_id: Some("S==".to_owned()),
            paystack_live: None,
        };
        let json = br#"{"seller_id":"S==","sale_id":"A==","resource_name":"sale","price":2500,"refunded":false,"card":{"type":"visa"}}"#;
        let from_json = parse_ping(BodyFormat::Json, json, &account).unwrap();
        let from_form =
            read("resource_name=sale&price=2500&refunded=false&card%5Btype%5D=visa").unwrap();
        assert!(from_json == from_form);
    }

    #[test]
    fn refund_and_dispute_reverse_the_whole_sale() {
        for (body, key, outcome) in [
            (
                "resource_name=refund&refunded=true",
                "refund:A==",
                ReversalOutcome::Done,
            ),
            (
                "resource_name=dispute&disputed=true",
                "dispute:A==",
                ReversalOutcome::Done,
            ),
            (
                "resource_name=dispute_won&disputed=true&dispute_won=true",
                "dispute:A==",
                ReversalOutcome::Undone,
            ),
        ] {
            let EventBody::Reversal(report) = read(body).unwrap().body else {
                panic!("not a reversal")
            };
            assert_eq!(
                (report.reversal_key.as_str(), report.outcome, report.amount),
                (key, outcome, None)
            );
            assert_eq!(report.of_money_key, "A==");
        }
    }

    #[test]
    fn tests_partial_refunds_and_subscriptions_move_nothing() {
        for body in [
            "resource_name=sale&price=1&test=true",
            "resource_name=refund&refunded=true&test=true",
            "resource_name=refund&refunded=false",
            "test=true",
            "resource_name=cancellation&subscription_id=B",
            "resource_name=something_new&price=1",
        ] {
            assert!(
                matches!(read(body).unwrap().body, EventBody::Other { .. }),
                "{body}"
            );
        }
    }

    #[test]
    fn unreadable_ping_names_its_field() {
        for (body, expected) in [
            ("price=1", "resource_name: is missing or blank"),
            ("resource_name=sale", "price: is missing or blank"),
            (
                "resource_name=sale&price=1.2.3",
                "price: is no amount: not a decimal number",
            ),
            (
                "resource_name=sale&price=1&order_number=%00",
                "order_number: holds characters that cannot be printed",
            ),
        ] {
            assert_eq!(read(body).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn delivery_key_differs_by_state_and_not_by_retry() {
        let key = |body: &str| read(body).unwrap().delivery_key;
        let sale = "resource_name=sale&price=1";
        assert!(key(sale) == key(&format!("{sale}&retry_count=2")));
        for other in ["test=true", "refunded=true", "disputed=true"] {
            assert!(key(sale) != key(&format!("{sale}&{other}")), "{other}");
        }
        let ended = "resource_name=subscription_updated&subscription_id=B&new_plan=1";
        assert!(key(ended) == key(&format!("{ended}&retry_count=1")));
        assert!(
            key(ended) != key("resource_name=subscription_updated&subscription_id=B&new_plan=2")
        );
    }
}
