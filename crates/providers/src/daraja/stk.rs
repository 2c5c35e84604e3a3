//! STK callbacks: the outcome of a push to the payer's phone.

use risiti_domain::{Currency, Money, PaymentMethod, Phone};

use super::KEY_PREFIXES;
use super::code::{DONE, result_code, stk_outcome};
use super::pairs::Pairs;
use crate::event::{Event, Outcome, PaymentReport};
use crate::identifier::{identifier, key};
use crate::json::{Node, Object};
use crate::{Unreadable, amount, time};

pub(crate) fn stk(body: &[u8]) -> Result<Event, Unreadable> {
    let body = Node::root(body)?.object()?.required("Body")?.object()?;
    let callback = body.required("stkCallback")?.object()?;
    let checkout_id = callback.required_identifier("CheckoutRequestID")?;
    if KEY_PREFIXES.contains(&checkout_id.as_str()) {
        return Err(Unreadable::new(callback.path_of("CheckoutRequestID"), "is no checkout id"));
    }
    let code = result_code(&callback)?;
    // With the code: a time-out and a late success are two messages about one payment (design §4).
    let delivery_key = key(&[&checkout_id, &code]);
    let report = if code == DONE {
        paid(&callback, checkout_id)?
    } else {
        PaymentReport { outcome: stk_outcome(&code), ..unpaid(checkout_id) }
    };
    Ok(Event::payment("stk", delivery_key, report))
}

fn paid(callback: &Object<'_>, checkout_id: String) -> Result<PaymentReport, Unreadable> {
    let items = Pairs::read(callback, "CallbackMetadata", "Item", "Name")?;
    let receipt = items.text("MpesaReceiptNumber")?;
    let receipt = receipt.map(|text| identifier(&items.path_of("MpesaReceiptNumber"), text)).transpose()?;
    let amount: Option<Money> = items
        .text("Amount")?
        .map(|text| amount::major(&items.path_of("Amount"), &text, Currency::KES))
        .transpose()?;
    Ok(PaymentReport {
        outcome: Outcome::of_paid(receipt.as_deref(), amount),
        money_key: receipt.clone(),
        receipt,
        amount,
        phone: items.soft_text("PhoneNumber").as_deref().and_then(Phone::parse),
        occurred_at: items.soft_text("TransactionDate").as_deref().and_then(time::nairobi),
        ..unpaid(checkout_id)
    })
}

fn unpaid(checkout_id: String) -> PaymentReport {
    PaymentReport {
        money_key: None,
        checkout_id: Some(checkout_id),
        reference: None,
        receipt: None,
        outcome: Outcome::unknown(""),
        amount: None,
        phone: None,
        occurred_at: None,
        short_code: None,
        method: PaymentMethod::MobileMoney,
    }
}
