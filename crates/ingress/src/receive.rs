//! One webhook, from request to answer, in the order that protocol A lays down: find the merchant,
//! cap the body, authenticate over the raw bytes, parse, deduplicate, make durable, answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use bytes::Bytes;
use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, CredentialId, EventId, MerchantId, Provider};
use risiti_providers::{Account, BodyFormat, Channel, Envelope, Event, Unreadable, known_kind};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

use crate::answer::Answer;
use crate::attempts::FailedAttempts;
use crate::body::{self, BodyLimits};
use crate::budget::{BodyBudget, HeldBody, Holder};
use crate::connection::Connection;
use crate::dedup::{Dedup, DedupKey, DeliveryOutcome, StoredIn};
use crate::durable::DurableStore;
use crate::merchants::{Address, Merchant, MerchantLookup, Merchants, SigningKey};
use crate::metrics::Metrics;
use crate::settings::{DedupArgs, HttpArgs};
use crate::source::{SourceRefused, TrustedProxies, authenticate_source};
use crate::traceparent;

/// Longest time from the last byte of the body to the answer, whatever hangs behind ingress
/// (protocol A5: 3 s).
const ANSWER_TIMEOUT: Duration = Duration::from_millis(2_800);

/// An HMAC-SHA512 in hexadecimal.
const SIGNATURE_CHARS: usize = 128;

pub(crate) struct Receiver {
    pub(crate) merchants: Merchants,
    pub(crate) dedup: Arc<Dedup>,
    pub(crate) metrics: Metrics,
    pub(crate) proxies: TrustedProxies,
    pub(crate) http: HttpArgs,
    pub(crate) body_budget: BodyBudget,
    pub(crate) dedup_args: DedupArgs,
    pub(crate) failed_attempts: FailedAttempts,
}

/// A webhook that is believed to come from its provider.
struct AuthenticWebhook<'a> {
    merchant: Arc<Merchant>,
    channel: Channel,
    format: BodyFormat,
    authenticated_by: AuthenticatedBy,
    credential: Option<CredentialId>,
    account: Account,
    body: Vec<u8>,
    held: HeldBody<'a>,
}

impl Receiver {
    pub(crate) async fn receive(
        &self,
        request: &HttpRequest,
        payload: &mut web::Payload,
        channel: Channel,
        address: Address,
        durable: &Arc<DurableStore>,
    ) -> Answer {
        match self.authenticate(request, payload, channel, address).await {
            Ok(webhook) => {
                let traceparent = traceparent::of_request(request);
                self.keep(webhook, traceparent, durable).await
            }
            Err(answer) => answer,
        }
    }

    async fn authenticate(
        &self,
        request: &HttpRequest,
        payload: &mut web::Payload,
        channel: Channel,
        address: Address,
    ) -> Result<AuthenticWebhook<'_>, Answer> {
        let provider = channel.provider();
        let signature = match provider {
            Provider::Paystack => claimed_signature(request)?,
            Provider::Daraja | Provider::Gumroad => "",
        };
        let (merchant, directory, path_secret) = match self.merchants.find(&address, provider) {
            MerchantLookup::Found {
                merchant,
                directory,
                by_ending_secret,
                path_secret,
            } => {
                if by_ending_secret {
                    self.metrics.ending_secret(&merchant.slug);
                }
                (merchant, directory, path_secret)
            }
            MerchantLookup::NotFound if provider == Provider::Paystack => {
                return Err(self.refuse_unknown_slug(request, payload, signature).await);
            }
            MerchantLookup::NotFound => return Err(Answer::UnknownPath),
            MerchantLookup::DirectoryUnavailable => {
                return Err(Answer::Unavailable(
                    "the merchant directory is not available",
                ));
            }
        };
        let source = self.source(request);
        let by_source = check_source(source, &merchant, provider)
            .map_err(|refusal| directory.refusal(refusal))?;

        // Only a proven sender learns that its content type is wrong.
        let format = body::format(provider, request);
        if provider != Provider::Paystack {
            format.clone()?;
        }
        let holder = match (provider, source) {
            (Provider::Paystack, Some(source)) => Holder::Unproven(source.into(), merchant.id),
            _ => Holder::Proven(merchant.id),
        };
        let connection = request.conn_data::<Arc<Connection>>();
        if let Some(connection) = connection {
            connection.set_proven(provider != Provider::Paystack);
        }
        let held = self.body_budget.begin(holder, connection.cloned());
        let (body, held) = body::read(held, request, payload, &self.body_limits(holder)).await?;

        let mut account = Account {
            gumroad_seller_id: merchant.gumroad_seller_id.clone(),
            paystack_live: None,
        };
        let (authenticated_by, credential) = match provider {
            Provider::Paystack => {
                let key = verify_paystack(signature, &merchant, &body)
                    .map_err(|refusal| directory.refusal(refusal))?;
                account.paystack_live = key.live;
                if let Some(connection) = connection {
                    connection.set_proven(true);
                }
                (AuthenticatedBy::Signature, Some(key.id))
            }
            Provider::Daraja | Provider::Gumroad => (by_source, path_secret),
        };

        let body = body::without_credentials(channel, body);
        Ok(AuthenticWebhook {
            merchant,
            channel,
            format: format?,
            authenticated_by,
            credential,
            account,
            body,
            held,
        })
    }

    /// Answers a signed webhook to a slug that no merchant with Paystack has. Its sender sees what
    /// a wrong signature gets, after the same work, so slugs cannot be found out.
    async fn refuse_unknown_slug(
        &self,
        request: &HttpRequest,
        payload: &mut web::Payload,
        signature: &str,
    ) -> Answer {
        let Some(source) = self.source(request) else {
            return Answer::Unauthenticated;
        };
        let nobody = MerchantId::from_uuid(Uuid::nil());
        let holder = Holder::Unproven(source.into(), nobody);
        let connection = request.conn_data::<Arc<Connection>>();
        let held = self.body_budget.begin(holder, connection.cloned());
        match body::read(held, request, payload, &self.body_limits(holder)).await {
            Ok((body, _held)) => {
                let no_key = [0; 48];
                std::hint::black_box(risiti_providers::paystack::verify(
                    &body, signature, &no_key,
                ));
                Answer::Unauthenticated
            }
            Err(answer) => answer,
        }
    }

    /// Counts a request that was refused as not authentic.
    pub(crate) fn note_failed_attempt(&self, request: &HttpRequest) {
        if let Some(source) = self.source(request) {
            self.failed_attempts.note(source.into());
        }
    }

    fn body_limits(&self, holder: Holder) -> BodyLimits {
        BodyLimits {
            bytes: usize::try_from(self.http.body_limit).unwrap_or(usize::MAX),
            timeout: self.http.body_timeout,
            rate_min: match holder {
                Holder::Proven(_) => 0,
                Holder::Unproven(..) => self.http.body_rate_min,
            },
        }
    }

    /// The address that connected to us or to our outermost proxy.
    fn source(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?;

        // The values are read lossily. A value with one byte that is not text must not vanish
        // together with the hop that our proxy appended to it.
        let forwarded: Vec<_> = request
            .headers()
            .get_all("x-forwarded-for")
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        let forwarded = forwarded.iter().map(|value| &**value);
        Some(self.proxies.source(peer.ip(), forwarded))
    }

    /// Parses, deduplicates and makes durable. An unreadable body is kept like any other and then
    /// refused (protocol A7).
    async fn keep(
        &self,
        webhook: AuthenticWebhook<'_>,
        traceparent: String,
        durable: &Arc<DurableStore>,
    ) -> Answer {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let AuthenticWebhook {
            merchant,
            channel,
            format,
            authenticated_by,
            credential,
            account,
            body,
            held: _held_until_the_answer,
        } = webhook;

        let event_id = EventId::from_uuid(Uuid::now_v7());
        let read = risiti_providers::parse(channel, format, &body, &account)
            .map(|event| event.delivered_as(event_id));
        let key = dedup_key(&merchant, channel, &read, &body);
        let envelope = Envelope {
            event_id,
            merchant_id: merchant.id,
            channel,
            format,
            kind: read.as_ref().ok().map(|event| event.kind.clone()),
            delivery_key: read.as_ref().ok().map(|event| event.delivery_key.clone()),
            authenticated_by,
            credential,
            received_at: Timestamp::now(),
            traceparent: Some(traceparent),
            account,
            unreadable: read.as_ref().err().cloned(),
        };

        let publish = durable.keep(&envelope, Bytes::from(body), deadline);
        let ttl = self.dedup_args.ttl(channel.provider());
        let outcome = self.dedup.once(key, ttl, deadline, publish).await;
        log_outcome(&envelope, &merchant, outcome);

        match (outcome, read) {
            (DeliveryOutcome::Failed(failure), _) => Answer::Unavailable(failure),
            (outcome, Err(why)) => Answer::Unreadable {
                why,
                is_duplicate: outcome == DeliveryOutcome::Duplicate,
            },
            (DeliveryOutcome::Stored(StoredIn::Queue), Ok(_)) => Answer::Accepted,
            (DeliveryOutcome::Stored(StoredIn::Spool), Ok(_)) => Answer::Spooled,
            (DeliveryOutcome::Duplicate, Ok(_)) => Answer::Duplicate,
        }
    }
}

/// Checks the source of a Daraja message against the merchant's list. Other providers have no
/// lists.
fn check_source(
    source: Option<IpAddr>,
    merchant: &Merchant,
    provider: Provider,
) -> Result<AuthenticatedBy, Answer> {
    let Some(source) = source.filter(|_| provider == Provider::Daraja) else {
        return Ok(AuthenticatedBy::Path);
    };
    authenticate_source(source, &merchant.daraja_ranges, merchant.daraja_enforced)
        .map_err(|SourceRefused| Answer::Forbidden)
}

/// The signature that a webhook of Paystack claims, before anything of its body is read.
///
/// Whatever the directory says, no key fits a signature that is missing or none.
fn claimed_signature(request: &HttpRequest) -> Result<&str, Answer> {
    let value = request
        .headers()
        .get("x-paystack-signature")
        .ok_or(Answer::Unauthenticated)?;
    let signature = value.to_str().unwrap_or_default();
    let is_digest = signature.len() == SIGNATURE_CHARS
        && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_digest {
        Ok(signature)
    } else {
        Err(Answer::Unauthenticated)
    }
}

/// Checks the signature and returns the key that fits.
fn verify_paystack<'a>(
    signature: &str,
    merchant: &'a Merchant,
    body: &[u8],
) -> Result<&'a SigningKey, Answer> {
    let fits =
        |secret: &str| risiti_providers::paystack::verify(body, signature, secret.as_bytes());

    match merchant
        .paystack_keys
        .iter()
        .find(|key| fits(key.secret.expose_secret()))
    {
        Some(key) => Ok(key),
        // A key that we cannot decrypt may be the one that fits. That is our trouble, not the
        // sender's (protocol A6).
        None if merchant.paystack_keys_unreadable => {
            Err(Answer::Unavailable("a signing key cannot be read"))
        }
        None => Err(Answer::Unauthenticated),
    }
}

/// The key of a webhook. An unreadable body has no delivery key, so its bytes stand for one.
fn dedup_key(
    merchant: &Merchant,
    channel: Channel,
    read: &Result<Event, Unreadable>,
    body: &[u8],
) -> DedupKey {
    match read {
        Ok(event) => DedupKey::new(
            merchant.id,
            channel.provider(),
            &event.delivery_key,
            &event.facts.digest(),
        ),
        Err(_) => DedupKey::new(
            merchant.id,
            channel.provider(),
            "unreadable",
            &Sha256::digest(body).into(),
        ),
    }
}

fn log_outcome(envelope: &Envelope, merchant: &Merchant, outcome: DeliveryOutcome) {
    let event_id = envelope.event_id;
    let channel = envelope.channel.as_str();
    let trace_id = envelope.trace_id().unwrap_or_default();
    let provider = envelope.channel.provider();
    let kind = envelope.kind.as_deref();
    let kind = kind.map_or("unreadable", |kind| known_kind(provider, kind));
    let merchant = merchant.slug.as_str();

    match outcome {
        DeliveryOutcome::Stored(StoredIn::Queue) => {
            info!(%event_id, trace_id, channel, kind, %merchant, "webhook accepted")
        }
        DeliveryOutcome::Stored(StoredIn::Spool) => {
            info!(%event_id, trace_id, channel, kind, %merchant, "webhook spooled")
        }
        // The event id is new and nothing was stored under it, so it is left out.
        DeliveryOutcome::Duplicate => {
            info!(trace_id, channel, kind, %merchant, "webhook is a duplicate")
        }
        DeliveryOutcome::Failed(why) => {
            warn!(%event_id, trace_id, channel, kind, %merchant, why, "webhook not made durable")
        }
    }
}
