//! One webhook, from request to answer, in the order protocol A lays down: find the merchant, cap the body,
//! authenticate over the raw bytes, parse, deduplicate, make durable, answer.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use bytes::Bytes;
use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, EventId, Provider};
use risiti_providers::{Account, BodyFormat, Channel, Envelope, Event, Unreadable};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::answer::Answer;
use crate::body::{self, Room};
use crate::dedup::{Dedup, Kept, Key, Once};
use crate::durable::Durable;
use crate::merchants::{Found, Merchant, Merchants};
use crate::metrics::Metrics;
use crate::settings::{DedupArgs, HttpArgs};
use crate::source::{TrustedProxies, judge_source};
use crate::trace;

/// An answer goes out this long after the last byte of the body, whatever hangs behind us (protocol A5: 3 s).
const ANSWER_WITHIN: Duration = Duration::from_millis(2_800);

pub(crate) struct Receiver {
    pub(crate) merchants: Merchants,
    pub(crate) dedup: Arc<Dedup>,
    pub(crate) durable: Durable,
    pub(crate) metrics: Metrics,
    pub(crate) proxies: TrustedProxies,
    pub(crate) http: HttpArgs,
    pub(crate) room: Room,
    pub(crate) remember: DedupArgs,
}

/// How a request says which merchant it is for.
pub(crate) enum Address {
    Secret(String),
    Slug(String),
}

/// A body that is believed to come from its provider.
struct Authentic<'a> {
    merchant: Arc<Merchant>,
    channel: Channel,
    format: BodyFormat,
    by: AuthenticatedBy,
    account: Account,
    body: Vec<u8>,
    room: SemaphorePermit<'a>,
}

impl Receiver {
    pub(crate) async fn receive(
        &self,
        request: &HttpRequest,
        payload: &mut web::Payload,
        channel: Channel,
        address: Address,
    ) -> Answer {
        match self.authenticate(request, payload, channel, address).await {
            Ok(authentic) => self.keep(authentic, trace::parent(request)).await,
            Err(answer) => answer,
        }
    }

    async fn authenticate(
        &self,
        request: &HttpRequest,
        payload: &mut web::Payload,
        channel: Channel,
        address: Address,
    ) -> Result<Authentic<'_>, Answer> {
        let merchant = match self.merchants.find(&address, channel.provider()) {
            Found::Merchant(merchant) => merchant,
            Found::Nobody => return Err(Answer::UnknownPath),
            Found::CannotTell => {
                return Err(Answer::Unavailable(
                    "the merchant directory is not available",
                ));
            }
        };
        let by_source = self.judge_source(request, &merchant, channel.provider())?;
        let format = body::format(channel.provider(), request)?;
        let limit = usize::try_from(self.http.body_limit).unwrap_or(usize::MAX);
        let (body, room) =
            body::read(&self.room, request, payload, limit, self.http.body_timeout).await?;
        let mut account = Account {
            gumroad_seller_id: merchant.gumroad_seller_id.clone(),
            paystack_live: None,
        };
        let by = match channel.provider() {
            Provider::Paystack => {
                account.paystack_live = verify_paystack(request, &merchant, &body)?;
                AuthenticatedBy::Signature
            }
            Provider::Daraja | Provider::Gumroad => by_source,
        };
        Ok(Authentic {
            merchant,
            channel,
            format,
            by,
            account,
            body,
            room,
        })
    }

    fn judge_source(
        &self,
        request: &HttpRequest,
        merchant: &Merchant,
        provider: Provider,
    ) -> Result<AuthenticatedBy, Answer> {
        if provider != Provider::Daraja {
            return Ok(AuthenticatedBy::Path);
        }
        let Some(peer) = request.peer_addr() else {
            return Ok(AuthenticatedBy::Path);
        };
        // Lossily: a line with one byte that is no text must not vanish, with the hop that our proxy appended to it.
        let forwarded = request.headers().get_all("x-forwarded-for");
        let forwarded: Vec<_> = forwarded
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let source = self
            .proxies
            .source(peer.ip(), forwarded.iter().map(|value| &**value));
        judge_source(source, &merchant.daraja_ranges, merchant.daraja_enforced)
            .ok_or(Answer::Forbidden)
    }

    /// Parses, deduplicates and makes durable. An unreadable body is kept like any other, then refused (protocol A7).
    async fn keep(&self, authentic: Authentic<'_>, traceparent: String) -> Answer {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let Authentic {
            merchant,
            channel,
            format,
            by,
            account,
            body,
            room: _held,
        } = authentic;
        let body = risiti_providers::redact(channel, &body).into_owned();
        let read = risiti_providers::parse(channel, format, &body, &account);
        let key = dedup_key(&merchant, channel, &read, &body);
        let envelope = Envelope {
            event_id: EventId::from_uuid(Uuid::now_v7()),
            merchant_id: merchant.id,
            channel,
            format,
            kind: read.as_ref().ok().map(|event| event.kind.clone()),
            delivery_key: read.as_ref().ok().map(|event| event.delivery_key.clone()),
            authenticated_by: by,
            received_at: Timestamp::now(),
            traceparent: Some(traceparent),
            account,
            unreadable: read.as_ref().err().cloned(),
        };
        let publish = self.durable.keep(&envelope, Bytes::from(body));
        let ttl = self.remember.ttl(channel.provider());
        let once = self.dedup.once(key, ttl, deadline, publish).await;
        log(&envelope, &merchant, once);
        match (once, read) {
            (Once::Failed(why), _) => Answer::Unavailable(why),
            (_, Err(why)) => Answer::Unreadable(why),
            (Once::First(Kept::Queued), Ok(_)) => Answer::Accepted,
            (Once::First(Kept::Spooled), Ok(_)) => Answer::Spooled,
            (Once::Seen, Ok(_)) => Answer::Duplicate,
        }
    }
}

/// `Ok` holds whether the key that fits is a live one.
fn verify_paystack(
    request: &HttpRequest,
    merchant: &Merchant,
    body: &[u8],
) -> Result<Option<bool>, Answer> {
    let signature = request
        .headers()
        .get("x-paystack-signature")
        .and_then(|v| v.to_str().ok())
        .unwrap_or_default();
    let fits =
        |secret: &str| risiti_providers::paystack::verify(body, signature, secret.as_bytes());
    match merchant
        .paystack_keys
        .iter()
        .find(|key| fits(key.secret.expose_secret()))
    {
        Some(key) => Ok(key.live),
        // A key we could not decrypt may be the one that fits: our trouble, not the sender's (protocol A6).
        None if merchant.paystack_keys_unreadable => {
            Err(Answer::Unavailable("a signing key cannot be read"))
        }
        None => Err(Answer::Unauthenticated),
    }
}

/// An unreadable body is known by its bytes: it has no delivery key.
fn dedup_key(
    merchant: &Merchant,
    channel: Channel,
    read: &Result<Event, Unreadable>,
    body: &[u8],
) -> Key {
    match read {
        Ok(event) => Key::new(
            merchant.id,
            channel.provider(),
            &event.delivery_key,
            &event.facts.digest(),
        ),
        Err(_) => Key::new(
            merchant.id,
            channel.provider(),
            "unreadable",
            &Sha256::digest(body).into(),
        ),
    }
}

fn log(envelope: &Envelope, merchant: &Merchant, once: Once) {
    let (event_id, channel) = (envelope.event_id, envelope.channel.as_str());
    let trace_id = envelope.trace_id().unwrap_or_default();
    let kind = envelope.kind.as_deref().unwrap_or("unreadable");
    match once {
        Once::First(Kept::Queued) => {
            info!(%event_id, trace_id, channel, kind, merchant = %merchant.slug, "webhook accepted")
        }
        Once::First(Kept::Spooled) => {
            info!(%event_id, trace_id, channel, kind, merchant = %merchant.slug, "webhook spooled")
        }
        Once::Seen => {
            info!(trace_id, channel, kind, merchant = %merchant.slug, "webhook seen before")
        }
        Once::Failed(why) => {
            warn!(%event_id, trace_id, channel, kind, merchant = %merchant.slug, why, "webhook not durable")
        }
    }
}
