//! One message of Paystack, before its event is read.

use risiti_domain::{Currency, Money};

use crate::event::Event;
use crate::identifier::key;
use crate::json::Object;
use crate::{Unreadable, amount};

/// The event's name and data, and what its delivery key starts with.
pub(super) struct Message<'a> {
    pub(super) event: String,
    pub(super) data: Object<'a>,
    /// Whether it is an event of the test mode that came under a live key.
    pub(super) is_test: bool,
}

impl Message<'_> {
    /// Returns `paystack:<event>:<natural key>`. A test has a key of its own, so that it cannot
    /// take the key of a live event. The two modes may share references.
    pub(super) fn key(&self, natural: &[&str]) -> String {
        let prefix: &[&str] = if self.is_test {
            &["paystack", "test"]
        } else {
            &["paystack"]
        };
        key(&[prefix, &[self.event.as_str()], natural].concat())
    }

    pub(super) fn other(&self, natural: &[&str], reason: &'static str) -> Event {
        Event::other(self.event.as_str(), self.key(natural), reason)
    }

    /// An amount in hundredths, which some events write as a number and others as text.
    pub(super) fn money(&self, name: &'static str) -> Result<Option<Money>, Unreadable> {
        let Some(text) = self.data.text(name)? else {
            return Ok(None);
        };
        let currency = self
            .data
            .text("currency")?
            .ok_or_else(|| self.data.missing("currency"))?;
        let currency: Currency = currency.parse().map_err(|_| {
            Unreadable::new(
                self.data.path_of("currency"),
                "is not a currency of three letters",
            )
        })?;

        amount::subunits(self.data.path_of(name), &text, currency).map(Some)
    }
}
