//! Paystack: signed, retried for 72 hours.

mod charge;
mod dispute;
mod refund;
mod signature;

use risiti_domain::{Currency, Money};
use sha2::{Digest, Sha256};

use crate::event::Event;
use crate::identifier::key;
use crate::json::{Node, Object};
use crate::{Account, Unreadable, amount};

pub use signature::verify;

/// One event, its `data` and the first parts of its delivery key.
struct Notice<'a> {
    event: String,
    data: Object<'a>,
    /// A charge of the test mode, under a live key.
    is_test: bool,
}

pub(crate) fn notice(body: &[u8], account: &Account) -> Result<Event, Unreadable> {
    let root = Node::root(body)?.object()?;
    let event = root.required_identifier("event")?;
    let data = root.required("data")?.object()?;
    let is_test = account.paystack_live == Some(true)
        && data.text("domain")?.is_some_and(|domain| domain.eq_ignore_ascii_case("test"));
    let notice = Notice { event, data, is_test };
    let read = match notice.event.as_str() {
        "charge.success" | "charge.failed" => charge::charge(&notice)?,
        "refund.pending"
        | "refund.processing"
        | "refund.needs-attention"
        | "refund.processed"
        | "refund.failed" => refund::refund(&notice)?,
        "charge.dispute.create" | "charge.dispute.remind" | "charge.dispute.resolve" => {
            dispute::dispute(&notice)?
        }
        "transfer.success" | "transfer.failed" | "transfer.reversed" => transfer(&notice, body)?,
        _ => notice.other(&[&body_key(body)], "an event that moves no payment"),
    };
    if is_test {
        return Ok(Event::other(read.kind, read.delivery_key, "a test under a live key is no money"));
    }
    Ok(read)
}

impl Notice<'_> {
    /// `paystack:<event>:<natural key>`. A test has its own, lest it take that of a live event: the modes
    /// may share references.
    fn key(&self, natural: &[&str]) -> String {
        let prefix: &[&str] = if self.is_test { &["paystack", "test"] } else { &["paystack"] };
        key(&[prefix, &[self.event.as_str()], natural].concat())
    }

    fn other(&self, natural: &[&str], reason: &'static str) -> Event {
        Event::other(self.event.as_str(), self.key(natural), reason)
    }

    /// Subunits, which some events write as a number and others as text.
    fn money(&self, name: &str) -> Result<Option<Money>, Unreadable> {
        let Some(text) = self.data.text(name)? else { return Ok(None) };
        let field = self.data.path_of("currency");
        let currency = self.data.text("currency")?.ok_or_else(|| self.data.missing("currency"))?;
        let currency: Currency =
            currency.parse().map_err(|_| Unreadable::new(field, "is not a currency of three letters"))?;
        amount::subunits(&self.data.path_of(name), &text, currency).map(Some)
    }
}

/// Money going out.
fn transfer(notice: &Notice<'_>, body: &[u8]) -> Result<Event, Unreadable> {
    let id = match notice.data.identifier("transfer_code")? {
        Some(code) => Some(code),
        None => notice.data.identifier("reference")?,
    };
    let id = id.unwrap_or_else(|| body_key(body));
    Ok(notice.other(&[&id], "a payout, not a sale"))
}

/// Retries repeat the same bytes.
fn body_key(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}
