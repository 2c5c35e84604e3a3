//! What travels beside the provider's bytes: one message header of JSON.
//!
//! It is a single header, because a broker client encodes and copies each header on its own.
//! Thirteen headers cost a quarter of the publish rate that one costs.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, CredentialId, EventId, MerchantId};
use serde::{Deserialize, Serialize};

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
    /// The credential that let the webhook in. `None` in what an earlier release published.
    pub credential: Option<CredentialId>,
    pub received_at: Timestamp,
    /// The W3C trace context of the request.
    pub traceparent: Option<String>,
    pub account: Account,
    /// Why ingress could not read the body (protocol A7).
    pub unreadable: Option<Unreadable>,
}

/// Why headers hold no envelope. It repeats nothing of their values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("it has no header {HEADER}")]
    NoHeader,
    #[error("header {HEADER} is not the JSON object of an envelope")]
    NotAnEnvelope,
    #[error("{0} is missing in header {HEADER}")]
    Missing(&'static str),
    #[error("{0} cannot be read in header {HEADER}")]
    Invalid(&'static str),
}

/// The name of the header.
const HEADER: &str = "risiti-envelope";
/// A usual envelope fits into this without another allocation.
const USUAL_BYTES: usize = 640;

/// The envelope as it is written.
#[derive(Serialize)]
struct Written<'a> {
    event_id: EventId,
    merchant_id: MerchantId,
    channel: &'a str,
    format: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_key: Option<&'a str>,
    authenticated_by: AuthenticatedBy,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialId>,
    received_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gumroad_seller_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paystack_live: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable_field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable_problem: Option<&'a str>,
}

/// The envelope as it is read. Everything is optional here, so that what is missing can be named.
/// Members of other names are ignored, as those of a later release would have to be.
///
/// What we write without escapes is borrowed.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    event_id: Option<&'a str>,
    #[serde(borrow)]
    merchant_id: Option<&'a str>,
    #[serde(borrow)]
    channel: Option<&'a str>,
    #[serde(borrow)]
    format: Option<&'a str>,
    kind: Option<String>,
    delivery_key: Option<String>,
    #[serde(borrow)]
    authenticated_by: Option<&'a str>,
    #[serde(borrow)]
    credential: Option<&'a str>,
    #[serde(borrow)]
    received_at: Option<&'a str>,
    traceparent: Option<String>,
    gumroad_seller_id: Option<String>,
    paystack_live: Option<bool>,
    unreadable_field: Option<String>,
    unreadable_problem: Option<String>,
}

impl Envelope {
    /// The trace id within the W3C `traceparent`. `None` when there is no well-formed one.
    pub fn trace_id(&self) -> Option<&str> {
        let id = self.traceparent.as_deref()?.split('-').nth(1)?;
        let is_well_formed = id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        is_well_formed.then_some(id)
    }

    /// Writes the envelope as message headers.
    pub fn to_headers(&self) -> BTreeMap<String, String> {
        let unreadable = self.unreadable.as_ref();
        let written = Written {
            event_id: self.event_id,
            merchant_id: self.merchant_id,
            channel: self.channel.as_str(),
            format: self.format.as_str(),
            kind: self.kind.as_deref(),
            delivery_key: self.delivery_key.as_deref(),
            authenticated_by: self.authenticated_by,
            credential: self.credential,
            received_at: self.received_at,
            traceparent: self.traceparent.as_deref(),
            gumroad_seller_id: self.account.gumroad_seller_id.as_deref(),
            paystack_live: self.account.paystack_live,
            unreadable_field: unreadable.map(|why| why.field.as_str()),
            unreadable_problem: unreadable.map(|why| why.problem.as_str()),
        };

        let mut json = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut json, &written).expect("texts and flags are always JSON");
        let json = String::from_utf8(json).expect("JSON is UTF-8");
        BTreeMap::from([(HEADER.to_owned(), json)])
    }

    /// Reads the envelope from message headers. Headers of other names are ignored.
    pub fn from_headers(headers: &BTreeMap<String, String>) -> Result<Self, EnvelopeError> {
        let read = read(headers)?;
        let unreadable = read
            .unreadable_field
            .zip(read.unreadable_problem)
            .map(|(field, problem)| Unreadable { field, problem });

        Ok(Self {
            event_id: required(read.event_id, "event_id")?,
            merchant_id: required(read.merchant_id, "merchant_id")?,
            channel: required(read.channel, "channel")?,
            format: required(read.format, "format")?,
            kind: read.kind,
            delivery_key: read.delivery_key,
            authenticated_by: required(read.authenticated_by, "authenticated_by")?,
            // It is for a list only, so that an unreadable one costs no webhook.
            credential: read.credential.and_then(|id| id.parse().ok()),
            received_at: required(read.received_at, "received_at")?,
            traceparent: read.traceparent,
            account: Account {
                gumroad_seller_id: read.gumroad_seller_id,
                paystack_live: read.paystack_live,
            },
            unreadable,
        })
    }
}

/// The channel that message headers name, even where the rest of their envelope cannot be read. A
/// dead letter is shown and exported by it.
pub fn channel_of(headers: &BTreeMap<String, String>) -> Option<Channel> {
    read(headers).ok()?.channel?.parse().ok()
}

fn read(headers: &BTreeMap<String, String>) -> Result<Read<'_>, EnvelopeError> {
    let json = headers.get(HEADER).ok_or(EnvelopeError::NoHeader)?;
    serde_json::from_str(json).map_err(|_| EnvelopeError::NotAnEnvelope)
}

fn required<T: FromStr>(text: Option<&str>, name: &'static str) -> Result<T, EnvelopeError> {
    let text = text.ok_or(EnvelopeError::Missing(name))?;
    text.parse().map_err(|_| EnvelopeError::Invalid(name))
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
            credential: "01890a5d-ac96-774b-bcce-b302099a8059".parse().ok(),
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
            credential: None,
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
    fn envelope_is_one_header_that_a_person_can_read() {
        let headers = full().to_headers();
        let expected = concat!(
            r#"{"event_id":"01890a5d-ac96-774b-bcce-b302099a8057","#,
            r#""merchant_id":"01890a5d-ac96-774b-bcce-b302099a8058","#,
            r#""channel":"gumroad","format":"form","kind":"sale","delivery_key":"sale:FO8TXN==","#,
            r#""authenticated_by":"path+unlisted_source","#,
            r#""credential":"01890a5d-ac96-774b-bcce-b302099a8059","#,
            r#""received_at":"2026-09-28T07:15:31.123456Z","#,
            r#""traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","#,
            r#""gumroad_seller_id":"kL0p==","paystack_live":false,"#,
            r#""unreadable_field":"price","unreadable_problem":"is missing, null or blank"}"#,
        );
        let header = (HEADER.to_owned(), expected.to_owned());
        assert!(headers == BTreeMap::from([header]));
        assert!(expected.len() <= USUAL_BYTES);
    }

    #[test]
    fn missing_or_invalid_member_is_named() {
        let header = |json: serde_json::Value| {
            let headers = BTreeMap::from([(HEADER.to_owned(), json.to_string())]);
            (Envelope::from_headers(&headers).err(), channel_of(&headers))
        };
        let whole: serde_json::Value = serde_json::from_str(&full().to_headers()[HEADER]).unwrap();

        for name in [
            "event_id",
            "merchant_id",
            "channel",
            "format",
            "authenticated_by",
            "received_at",
        ] {
            let channel = (name != "channel").then_some(Channel::Gumroad);
            let mut changed = whole.clone();
            changed[name] = "?".into();
            let invalid = Some(EnvelopeError::Invalid(name));
            assert_eq!(header(changed.clone()), (invalid, channel));
            changed[name] = serde_json::Value::Null;
            let missing = Some(EnvelopeError::Missing(name));
            assert_eq!(header(changed), (missing, channel));
        }
    }

    #[test]
    fn header_that_is_no_envelope_is_named() {
        assert_eq!(
            Envelope::from_headers(&BTreeMap::new()).unwrap_err(),
            EnvelopeError::NoHeader
        );
        let twice = r#"{"channel":"paystack","channel":"gumroad"}"#;
        for text in ["", "{", "[]", "null", r#"{"channel":7}"#, twice] {
            let headers = BTreeMap::from([(HEADER.to_owned(), text.to_owned())]);
            let error = Envelope::from_headers(&headers).unwrap_err();
            assert_eq!(error, EnvelopeError::NotAnEnvelope, "{text}");
            assert_eq!(channel_of(&headers), None, "{text}");
        }
        let error = EnvelopeError::Missing("channel").to_string();
        assert_eq!(error, "channel is missing in header risiti-envelope");
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
