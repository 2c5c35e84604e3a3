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
mod kind;
pub mod paystack;
mod reversal;
mod time;
mod unreadable;

use std::borrow::Cow;

pub use channel::{Account, BodyFormat, Channel};
pub use envelope::{Envelope, EnvelopeError, channel_of};
pub use event::{Event, EventBody, Organisation, Outcome, PaymentReport};
pub use facts::MoneyFacts;
pub use kind::{OTHER_KIND, known_kind, known_kinds};
pub use reversal::{ReversalKeyKind, ReversalOutcome, ReversalReport};
pub use unreadable::Unreadable;

/// Reads one webhook. It never panics, whatever the bytes. The error of an unreadable body names
/// the field.
///
/// Time and memory grow in proportion to the body. The caller bounds the body's size.
pub fn parse(
    channel: Channel,
    format: BodyFormat,
    body: &[u8],
    account: &Account,
) -> Result<Event, Unreadable> {
    match channel {
        Channel::DarajaStk => daraja::parse_stk(body),
        Channel::DarajaC2bValidation => daraja::parse_validation(body),
        Channel::DarajaC2bConfirmation => daraja::parse_confirmation(body),
        Channel::DarajaResult => daraja::parse_result(body),
        Channel::DarajaTimeout => daraja::parse_timeout(body),
        Channel::Paystack => paystack::parse_message(body, account),
        Channel::Gumroad => gumroad::parse_ping(format, body, account),
    }
}

/// Returns the body in the form that may be published, spooled and stored. It blanks the
/// credentials in Daraja's queue time-out echo and leaves every other body as it is.
///
/// Redacting twice changes nothing more, and `parse` reads the redacted body as the original.
pub fn redact(channel: Channel, body: &[u8]) -> Cow<'_, [u8]> {
    match channel {
        Channel::DarajaTimeout => daraja::redact(body),
        _ => Cow::Borrowed(body),
    }
}
