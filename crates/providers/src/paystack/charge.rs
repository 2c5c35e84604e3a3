//! Charges: money in, or an attempt at it.

use risiti_domain::{PaymentMethod, Phone};

use super::Notice;
use crate::event::{Event, Outcome, PaymentReport};
use crate::json::Object;
use crate::{Unreadable, time};

/// The money key is the reference, also where M-Pesa carried the money: its receipt may be left out.
/// `charge.failed` is not documented; an app that sees one takes it for an attempt that failed, and money
/// wins over it later.
pub(super) fn charge(notice: &Notice<'_>) -> Result<Event, Unreadable> {
    let data = &notice.data;
    let reference = data.required_identifier("reference")?;
    let delivery_key = notice.key(&[&reference]);
    let amount = notice.money("amount")?;
    let outcome = if notice.event == "charge.failed" {
        Outcome::Failed {
            reason: "the charge failed".to_owned(),
        }
    } else if amount.is_none() {
        return Err(data.missing("amount"));
    } else if data
        .text("status")?
        .is_none_or(|status| status == "success")
    {
        Outcome::of_paid(Some(&reference), amount)
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
            .find_map(|name| time::iso(&data.soft_text(name)?)),
        short_code: None,
        method: method(data),
    };
    Ok(Event::payment(notice.event.as_str(), delivery_key, report))
}

/// The number that paid, else the customer's.
fn phone(data: &Object<'_>) -> Option<Phone> {
    let within = |outer: &str, name: &str| {
        let text = data.get(outer).ok()??.object().ok()?.soft_text(name)?;
        Phone::parse(&text)
    };
    within("authorization", "mobile_money_number")
        .or_else(|| within("customer", "phone"))
        .or_else(|| within("customer", "international_format_phone"))
}

fn method(data: &Object<'_>) -> PaymentMethod {
    match data.soft_text("channel").as_deref() {
        Some("mobile_money") => PaymentMethod::MobileMoney,
        Some("card") => PaymentMethod::Card,
        Some("bank" | "bank_transfer") => PaymentMethod::Bank,
        _ => PaymentMethod::Other,
    }
}
