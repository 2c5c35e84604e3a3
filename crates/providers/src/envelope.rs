//! The message headers that travel beside the provider's bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, EventId, MerchantId};

use crate::{Account, BodyFormat, Channel, Unreadable};

/// What Risiti adds to a webhook's body in the queue. With it, a worker reads the body exactly as
/// ingress did.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    pub event_id: EventId,
    pub merchant_id: MerchantId,
    pub channel: Channel,
    pub format: BodyFormat,
    /// The event's kind. `None` when the body could not be read.
    pub kind: Option<String>,
    /// The event's delivery key. `None` when the body could not be read.
    pub delivery_key: Option<String>,
    pub authenticated_by: AuthenticatedBy,
    pub received_at: Timestamp,
    /// The W3C trace context of the request.
    pub traceparent: Option<String>,
    pub account: Account,
    /// Why ingress could not read the body (protocol A7).
    pub unreadable: Option<Unreadable>,
}

/// Why headers are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("header {0} is missing")]
    Missing(&'static str),
    #[error("header {0} cannot be read")]
    Invalid(&'static str),
}

const EVENT_ID: &str = "risiti-event-id";
const MERCHANT_ID: &str = "risiti-merchant-id";
const CHANNEL: &str = "risiti-channel";
const FORMAT: &str = "risiti-format";
const KIND: &str = "risiti-kind";
const DELIVERY_KEY: &str = "risiti-delivery-key";
const AUTHENTICATED_BY: &str = "risiti-authenticated-by";
const RECEIVED_AT: &str = "risiti-received-at";
const TRACEPARENT: &str = "traceparent";
const GUMROAD_SELLER_ID: &str = "risiti-gumroad-seller-id";
const PAYSTACK_LIVE: &str = "risiti-paystack-live";
const UNREADABLE_FIELD: &str = "risiti-unreadable-field";
const UNREADABLE_PROBLEM: &str = "risiti-unreadable-problem";

impl Envelope {
    /// The trace id within the W3C `traceparent`. `None` when there is no well-formed one.
    pub fn trace_id(&self) -> Option<&str> {
        let id = self.traceparent.as_deref()?.split('-').nth(1)?;
        let is_well_formed = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        is_well_formed.then_some(id)
    }

    /// Writes the envelope as message headers.
    pub fn to_headers(&self) -> BTreeMap<String, String> {
        let optional = [
            (KIND, self.kind.clone()),
            (DELIVERY_KEY, self.delivery_key.clone()),
            (TRACEPARENT, self.traceparent.clone()),
            (GUMROAD_SELLER_ID, self.account.gumroad_seller_id.clone()),
            (
                PAYSTACK_LIVE,
                self.account.paystack_live.map(|live| live.to_string()),
            ),
            (
                UNREADABLE_FIELD,
                self.unreadable.as_ref().map(|why| why.field.clone()),
            ),
            (
                UNREADABLE_PROBLEM,
                self.unreadable.as_ref().map(|why| why.problem.clone()),
            ),
        ];
        let required = [
            (EVENT_ID, self.event_id.to_string()),
            (MERCHANT_ID, self.merchant_id.to_string()),
            (CHANNEL, self.channel.to_string()),
            (FORMAT, self.format.as_str().to_owned()),
            (AUTHENTICATED_BY, self.authenticated_by.to_string()),
            (RECEIVED_AT, self.received_at.to_string()),
        ];
        let present = optional
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        required
            .into_iter()
            .chain(present)
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// Reads the envelope from message headers. Headers of other names are ignored.
    pub fn from_headers(headers: &BTreeMap<String, String>) -> Result<Self, EnvelopeError> {
        let text = |name: &str| headers.get(name).cloned();
        let unreadable = text(UNREADABLE_FIELD)
            .zip(text(UNREADABLE_PROBLEM))
            .map(|(field, problem)| Unreadable { field, problem });
        Ok(Self {
            event_id: required(headers, EVENT_ID)?,
            merchant_id: required(headers, MERCHANT_ID)?,
            channel: required(headers, CHANNEL)?,
            format: required(headers, FORMAT)?,
            kind: text(KIND),
            delivery_key: text(DELIVERY_KEY),
            authenticated_by: required(headers, AUTHENTICATED_BY)?,
            received_at: required(headers, RECEIVED_AT)?,
            traceparent: text(TRACEPARENT),
            account: Account {
                gumroad_seller_id: text(GUMROAD_SELLER_ID),
                paystack_live: optional(headers, PAYSTACK_LIVE)?,
            },
            unreadable,
        })
    }
}

fn optional<T: FromStr>(
    headers: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<Option<T>, EnvelopeError> {
    headers
        .get(name)
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| EnvelopeError::Invalid(name))
}

fn required<T: FromStr>(
    headers: &BTreeMap<String, String>,
    name: &'static str,
) -> Result<T, EnvelopeError> {
    optional(headers, name)?.ok_or(EnvelopeError::Missing(name))
}

/// Leaves out the delivery key, which may hold digits of a phone, and the trace.
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("event_id", &self.event_id)
            .field("merchant_id", &self.merchant_id)
            .field("channel", &self.channel)
            .field("kind", &self.kind)
            .field("authenticated_by", &self.authenticated_by)
            .field("received_at", &self.received_at)
            .field("unreadable", &self.unreadable)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Envelope {
        Envelope {
            event_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            merchant_id: "01890a5d-ac96-774b-bcce-b302099a8058".parse().unwrap(),
            channel: Channel::Gumroad,
            format: BodyFormat::Form,
            kind: Some("sale".to_owned()),
            delivery_key: Some("sale:FO8TXN==".to_owned()),
            authenticated_by: AuthenticatedBy::PathFromUnlistedSource,
            received_at: "2026-09-28T07:15:31.123456Z".parse().unwrap(),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
            account: Account {
                gumroad_seller_id: Some("kL0p==".to_owned()),
                paystack_live: Some(false),
            },
            unreadable: Some(Unreadable::new("price", "is missing, null or blank")),
        }
    }

    #[test]
    fn headers_read_back_as_the_same_envelope() {
        let bare = Envelope {
            kind: None,
            delivery_key: None,
            traceparent: None,
            account: Account::default(),
            unreadable: None,
            ..full()
        };
        for envelope in [full(), bare] {
            let mut headers = envelope.to_headers();
            headers.insert("risiti-dead-letter-id".to_owned(), "another's".to_owned());
            assert!(Envelope::from_headers(&headers) == Ok(envelope));
        }
    }

    #[test]
    fn missing_or_invalid_header_is_named() {
        for name in [
            EVENT_ID,
            MERCHANT_ID,
            CHANNEL,
            FORMAT,
            AUTHENTICATED_BY,
            RECEIVED_AT,
        ] {
            let mut headers = full().to_headers();
            headers.insert(name.to_owned(), "?".to_owned());
            assert_eq!(
                Envelope::from_headers(&headers).unwrap_err(),
                EnvelopeError::Invalid(name)
            );
            headers.remove(name);
            assert_eq!(
                Envelope::from_headers(&headers).unwrap_err(),
                EnvelopeError::Missing(name)
            );
        }
    }

    #[test]
    fn trace_id_is_read_only_from_a_well_formed_traceparent() {
        let trace_id = |traceparent: Option<&str>| {
            let envelope = Envelope {
                traceparent: traceparent.map(str::to_owned),
                ..full()
            };
            envelope.trace_id().map(str::to_owned)
        };
        assert_eq!(full().trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for malformed in ["", "254708374149", "00-zz-00", "00-4bf92f3577b34da6-00"] {
            assert_eq!(trace_id(Some(malformed)), None, "{malformed:?}");
        }
        assert_eq!(trace_id(None), None);
    }

    #[test]
    fn debug_shows_no_delivery_key() {
        assert!(!format!("{:?}", full()).contains("FO8TXN"));
    }
}
