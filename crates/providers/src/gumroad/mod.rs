//! Gumroad's pings: unsigned forms about sales in US dollars.

mod fields;
mod sale;

use crate::event::Event;
use crate::identifier::key;
use crate::json;
use crate::{Account, BodyFormat, Unreadable};
use fields::Fields;
use sale::parse_sale;

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
    use crate::event::{EventBody, Outcome, PaymentReport};
    use crate::reversal::ReversalOutcome;

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
    fn tests_and_events_of_subscriptions_move_nothing() {
        for body in [
            "resource_name=sale&price=1&test=true",
            "resource_name=refund&refunded=true&test=true",
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
    fn first_sale_of_a_subscription_is_to_be_confirmed() {
        let sale = "resource_name=sale&price=1000&subscription_id=B";
        let first = payment(sale);
        assert!(matches!(first.outcome, Outcome::Unconfirmed { .. }));
        let charged = payment(&format!("{sale}&is_recurring_charge=true"));
        assert_eq!(charged.outcome, Outcome::Succeeded);
    }

    #[test]
    fn resent_sale_says_that_it_was_reversed() {
        let sale = "resource_name=sale&price=2500";
        for (state, key) in [
            ("refunded=true", "refund:A=="),
            ("disputed=true", "dispute:A=="),
        ] {
            let event = read(&format!("{sale}&{state}")).unwrap();
            let EventBody::PaidAndReversed(paid, reversed) = event.body else {
                panic!("{state}")
            };
            assert_eq!(paid.outcome, Outcome::Succeeded);
            assert_eq!(
                (
                    reversed.reversal_key.as_str(),
                    reversed.outcome,
                    reversed.amount
                ),
                (key, ReversalOutcome::Done, None)
            );
        }
        let won = payment(&format!("{sale}&disputed=true&dispute_won=true"));
        assert_eq!(won.outcome, Outcome::Succeeded);
    }

    #[test]
    fn part_refunds_have_the_keys_of_their_deliveries() {
        let part = || read("resource_name=refund&refunded=false").unwrap();
        let id = |n| {
            format!("00000000-0000-0000-0000-00000000000{n}")
                .parse()
                .unwrap()
        };
        let [first, again, second] = [1, 1, 2].map(|n| part().delivered_as(id(n)));
        assert!(first == again && first.delivery_key != second.delivery_key);
        let keys = [&first, &second].map(|event| &event.body.reversal().unwrap().reversal_key);
        assert_ne!(keys[0], keys[1]);
        let report = first.body.reversal().unwrap();
        assert_eq!(
            (report.outcome, report.amount),
            (ReversalOutcome::Unstated, None)
        );
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
