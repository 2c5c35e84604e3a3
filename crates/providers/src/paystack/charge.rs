//! Charges, which are payments or attempts at one.

use risiti_domain::{PaymentMethod, Phone};

use super::message::Message;
use crate::event::{Event, Outcome, PaymentReport};
use crate::json::Object;
use crate::{Unreadable, time};

/// Reads a charge. The money key is the reference, even where M-Pesa carried the money, because the
/// M-Pesa receipt may be missing.
///
/// `charge.failed` is not documented. It is read as an attempt that failed, and a later success of
/// the same reference prevails.
pub(super) fn parse_charge(message: &Message<'_>) -> Result<Event, Unreadable> {
    let data = &message.data;
    let reference = data.required_identifier("reference")?;
    let delivery_key = message.key(&[&reference]);
    let amount = message.money("amount")?;

    let outcome = if message.event == "charge.failed" {
        Outcome::Failed {
            reason: "the charge failed".to_owned(),
        }
    } else if amount.is_none() {
        return Err(data.missing("amount"));
    } else if data
        .text("status")?
        .is_none_or(|status| status == "success")
    {
        Outcome::from_paid(Some(&reference), amount)
    } else {
        Outcome::unknown("charge.success, but the status within says otherwise")
    };

    let report = PaymentReport {
        money_key: Some(reference.clone()),
        checkout_id: None,
        reference: Some(reference.clone()),
        receipt: Some(reference),
        outcome,
        amount,
        phone: phone(data),
        occurred_at: ["paid_at", "paidAt", "created_at", "createdAt"]
            .iter()
            .find_map(|name| time::iso(&data.lenient_text(name)?)),
        short_code: None,
        paid_by: None,
        method: method(data),
    };
    Ok(Event::payment(message.event.as_str(), delivery_key, report))
}

/// The phone that paid, else the customer's.
fn phone(data: &Object<'_>) -> Option<Phone> {
    let within = |outer: &'static str, name: &'static str| {
        let text = data.get(outer).ok()??.object().ok()?.lenient_text(name)?;
        Phone::parse(&text)
    };
    within("authorization", "mobile_money_number")
        .or_else(|| within("customer", "phone"))
        .or_else(|| within("customer", "international_format_phone"))
}

fn method(data: &Object<'_>) -> PaymentMethod {
    match data.lenient_text("channel").as_deref() {
        Some("mobile_money") => PaymentMethod::MobileMoney,
        Some("card") => PaymentMethod::Card,
        Some("bank" | "bank_transfer") => PaymentMethod::Bank,
        _ => PaymentMethod::Other,
    }
}
