#![doc = include_str!("../README.md")]

mod amount;
mod channel;
mod daraja;
mod envelope;
mod event;
mod facts;
mod gumroad;
mod identifier;
mod json;
pub mod paystack;
mod time;
mod unreadable;

use std::borrow::Cow;

pub use channel::{Account, BodyFormat, Channel};
pub use envelope::{Envelope, EnvelopeError};
pub use event::{Event, EventBody, Outcome, PaymentReport, ReversalOutcome, ReversalReport};
pub use facts::MoneyFacts;
pub use unreadable::Unreadable;

/// Reads one webhook. Never panics, whatever the bytes; an unreadable one is an error that names the field.
///
/// Time and memory are linear in the body; the caller bounds its size.
pub fn parse(
    channel: Channel,
    format: BodyFormat,
    body: &[u8],
    account: &Account,
) -> Result<Event, Unreadable> {
    match channel {
        Channel::DarajaStk => daraja::stk(body),
        Channel::DarajaC2bValidation => daraja::validation(body),
        Channel::DarajaC2bConfirmation => daraja::confirmation(body),
        Channel::DarajaResult => daraja::result(body),
        Channel::DarajaTimeout => daraja::timeout(body),
        Channel::Paystack => paystack::notice(body, account),
        Channel::Gumroad => gumroad::ping(format, body, account),
    }
}

/// The body as it may be published, spooled and stored: blanks the credentials in Daraja's queue time-out
/// echo, leaves all else alone. Doing it twice changes nothing more, and `parse` reads both alike.
pub fn redact(channel: Channel, body: &[u8]) -> Cow<'_, [u8]> {
    match channel {
        Channel::DarajaTimeout => daraja::redact(body),
        _ => Cow::Borrowed(body),
    }
}
