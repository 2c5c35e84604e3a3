//! C2B: the question before a payment to a short code, and the news after it.

use risiti_domain::{Currency, PaymentMethod, Phone};

use crate::event::{Event, Outcome, PaymentReport};
use crate::identifier::key;
use crate::json::{Node, Object};
use crate::{Unreadable, amount, time};

pub(super) const VALIDATION_KEY: &str = "validation";
pub(super) const CONFIRMATION_KEY: &str = "confirmation";

/// No money has moved, and none may ever: a validation need not be followed by a confirmation.
pub(crate) fn validation(body: &[u8]) -> Result<Event, Unreadable> {
    let fields = Node::root(body)?.object()?;
    let id = fields.required_identifier("TransID")?;
    Ok(Event::other("c2b_validation", key(&[VALIDATION_KEY, &id]), "asked before any money moved"))
}

/// The message itself says that money arrived.
pub(crate) fn confirmation(body: &[u8]) -> Result<Event, Unreadable> {
    let fields = Node::root(body)?.object()?;
    let id = fields.required_identifier("TransID")?;
    let delivery_key = key(&[CONFIRMATION_KEY, &id]);
    Ok(Event::payment("c2b_confirmation", delivery_key, report(&fields, id)?))
}

fn report(fields: &Object<'_>, id: String) -> Result<PaymentReport, Unreadable> {
    let amount = fields.text("TransAmount")?.ok_or_else(|| fields.missing("TransAmount"))?;
    let amount = amount::major("TransAmount", &amount, Currency::KES)?;
    Ok(PaymentReport {
        outcome: Outcome::of_paid(Some(&id), Some(amount)),
        money_key: Some(id.clone()),
        checkout_id: None,
        reference: None,
        receipt: Some(id),
        amount: Some(amount),
        phone: fields.soft_text("MSISDN").as_deref().and_then(Phone::parse),
        occurred_at: fields.soft_text("TransTime").as_deref().and_then(time::nairobi),
        short_code: Some(fields.required_identifier("BusinessShortCode")?),
        method: PaymentMethod::MobileMoney,
    })
}
