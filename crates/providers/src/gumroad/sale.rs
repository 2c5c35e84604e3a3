//! Pings about one sale: that it was made, refunded or disputed.

use risiti_domain::{Currency, Money, PaymentMethod};

use super::fields::Fields;
use crate::event::{Event, Outcome, PaymentReport};
use crate::identifier::key;
use crate::reversal::{ReversalOutcome, ReversalReport};
use crate::{Unreadable, amount, time};

/// Reads a ping about one sale.
pub(super) fn parse_sale(
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
        "sale" => return sale_event(kind, delivery_key, fields, sale_id),
        // Pings about two such refunds can be equal byte for byte.
        "refund" if !fields.is_true("refunded") => ReversalReport {
            reversal_key: key(&["refund", &sale_id, "part"]),
            ..reversal_report("refund", sale_id, ReversalOutcome::Unstated)
        },
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

/// A sale, which may have been reversed meanwhile: a seller can have its ping sent again at any
/// time, with the state of that moment.
fn sale_event(
    kind: String,
    delivery_key: String,
    fields: &Fields<'_>,
    sale_id: String,
) -> Result<Event, Unreadable> {
    let report = sale_report(fields, sale_id)?;
    let reversed_by = if fields.is_true("refunded") {
        Some("refund")
    } else if fields.is_true("disputed") && !fields.is_true("dispute_won") {
        Some("dispute")
    } else {
        None
    };

    Ok(match (reversed_by, &report.money_key) {
        (Some(what), Some(sale_id)) if report.outcome == Outcome::Succeeded => {
            let reversal = reversal_report(what, sale_id.clone(), ReversalOutcome::Done);
            Event::paid_and_reversed(kind, delivery_key, report, reversal)
        }
        _ => Event::payment(kind, delivery_key, report),
    })
}

fn sale_report(fields: &Fields<'_>, sale_id: String) -> Result<PaymentReport, Unreadable> {
    let amount = price(fields)?;
    Ok(PaymentReport {
        outcome: outcome(fields, &sale_id, amount),
        money_key: Some(sale_id),
        checkout_id: None,
        reference: None,
        receipt: fields.identifier("order_number")?,
        amount: Some(amount),
        phone: None,
        occurred_at: fields.get("sale_timestamp").and_then(time::iso),
        short_code: None,
        paid_by: None,
        method: match fields.get("card[type]") {
            None | Some("paypal") => PaymentMethod::Other,
            Some(_) => PaymentMethod::Card,
        },
    })
}

/// Whether a sale's ping tells of money. That of a subscription is sent when a free trial starts as
/// well, with its price and without a word of the trial. Later charges say that they recur.
fn outcome(fields: &Fields<'_>, sale_id: &str, amount: Money) -> Outcome {
    if fields.is_true("is_preorder_authorization") {
        return Outcome::unknown("a pre-order is authorised, not charged");
    }
    let is_first_of_subscription =
        fields.get("subscription_id").is_some() && !fields.is_true("is_recurring_charge");
    match Outcome::from_paid(Some(sale_id), Some(amount)) {
        Outcome::Succeeded if is_first_of_subscription => Outcome::Unconfirmed {
            reason: "the first sale of a subscription may be the start of a free trial".to_owned(),
        },
        outcome => outcome,
    }
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
