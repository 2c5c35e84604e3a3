//! Events as evidence: stored once per delivery key, with every contradicting body beside it
//! (protocol C5).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, DeviceId, EventId, MerchantId, PaymentId, Provider};
use risiti_providers::Event;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;

statements! {
    /// In the order of their keys, so that two batches with the same ones wait for each other in
    /// one direction only (protocol C2).
    INSERT = "
        INSERT INTO events
            (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by, received_at, body, trace_id)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[],
            $8::timestamptz[], $9::bytea[], $10::text[])
        ON CONFLICT (merchant_id, provider, delivery_key) DO NOTHING
        RETURNING id";
    LOCK_KNOWN = "
        SELECT e.id, e.merchant_id, e.provider, e.delivery_key, e.facts_sha256
        FROM unnest($1::uuid[], $2::text[], $3::text[]) AS k (merchant_id, provider, delivery_key)
        JOIN events e USING (merchant_id, provider, delivery_key)
        ORDER BY e.id FOR NO KEY UPDATE OF e";
    COUNT_DUPLICATES = "
        UPDATE events e SET duplicates = e.duplicates + d.n
        FROM unnest($1::uuid[], $2::bigint[]) AS d (id, n) WHERE e.id = d.id";
    INSERT_CONFLICT = "
        INSERT INTO event_conflicts (event_id, facts_sha256, delivered_as, received_at, body)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_id, facts_sha256) DO NOTHING";
    SETTLE = "
        UPDATE events e SET payment_id = coalesce(s.payment_id, e.payment_id), conflict = e.conflict OR s.conflict
        FROM unnest($1::uuid[], $2::uuid[], $3::bool[]) AS s (id, payment_id, conflict) WHERE e.id = s.id";
    UNFILED_LANES = "
        SELECT DISTINCT e.id, i.device_id FROM events e JOIN invoices i ON i.payment_id = e.payment_id
        WHERE e.id = ANY($1) AND i.state = 'pending'";
}

/// One message from `[payments]`, read.
#[derive(Clone)]
pub struct IncomingEvent {
    pub id: EventId,
    pub merchant: MerchantId,
    pub provider: Provider,
    pub authenticated_by: AuthenticatedBy,
    pub received_at: Timestamp,
    /// W3C trace id of its request.
    pub trace_id: Option<String>,
    /// The provider's bytes.
    pub body: Bytes,
    pub event: Event,
}

impl fmt::Debug for IncomingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingEvent")
            .field("id", &self.id)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// How an incoming event stands to what is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    New,
    /// The very same message, taken from the queue again: it was recorded, its acknowledgement was
    /// not.
    Again,
    /// The provider told it again.
    Duplicate,
    /// The provider told something else under the same key; nothing moves, a person looks.
    Conflict,
}

type DeliveryKey<'a> = (MerchantId, Provider, &'a str);

impl IncomingEvent {
    fn key(&self) -> DeliveryKey<'_> {
        (self.merchant, self.provider, &self.event.delivery_key)
    }

    fn head(&self) -> Head {
        Head {
            id: self.id,
            facts: self.event.facts.digest(),
        }
    }
}

/// Stores a batch, and says of each event how it stands; every key is locked from here on.
pub(crate) async fn store(
    transaction: &Transaction<'_>,
    batch: &[IncomingEvent],
) -> Result<Vec<Delivery>, LedgerError> {
    let firsts = firsts(batch);
    let inserted = insert(transaction, &firsts).await?;
    let known: Vec<_> = firsts
        .iter()
        .copied()
        .filter(|event| !inserted.contains(&event.id))
        .collect();
    let stored = lock_known(transaction, &known).await?;
    let mut heads: HashMap<DeliveryKey<'_>, Head> = firsts
        .iter()
        .map(|event| (event.key(), event.head()))
        .collect();
    heads.extend(
        stored
            .iter()
            .map(|((merchant, provider, key), head)| ((*merchant, *provider, key.as_str()), *head)),
    );

    let mut seen = HashSet::new();
    let mut deliveries = Vec::with_capacity(batch.len());
    for event in batch {
        let head = heads[&event.key()];
        let first_time = seen.insert(event.id);
        deliveries.push(match event.head() {
            same if same.id == head.id && first_time && inserted.contains(&same.id) => {
                Delivery::New
            }
            same if same.id == head.id || !first_time => Delivery::Again,
            told if told.facts == head.facts => Delivery::Duplicate,
            _ => Delivery::Conflict,
        });
    }
    count_duplicates(transaction, batch, &deliveries, &heads).await?;
    keep_conflicts(transaction, batch, &deliveries, &heads).await?;
    Ok(deliveries)
}

/// The first message of each delivery key, in the order of the keys.
fn firsts(batch: &[IncomingEvent]) -> Vec<&IncomingEvent> {
    let mut events: Vec<&IncomingEvent> = batch.iter().collect();
    events.sort_by(|a, b| (a.key(), a.id).cmp(&(b.key(), b.id)));
    events.dedup_by_key(|event| event.key());
    events
}

/// The stored event of a key.
#[derive(Clone, Copy)]
struct Head {
    id: EventId,
    facts: [u8; 32],
}

async fn insert(
    transaction: &Transaction<'_>,
    events: &[&IncomingEvent],
) -> Result<HashSet<EventId>, LedgerError> {
    let ids: Vec<Uuid> = events.iter().map(|event| event.id.uuid()).collect();
    let merchants: Vec<Uuid> = events.iter().map(|event| event.merchant.uuid()).collect();
    let providers: Vec<&str> = events.iter().map(|event| event.provider.as_str()).collect();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event.event.kind.as_str())
        .collect();
    let keys: Vec<&str> = events
        .iter()
        .map(|event| event.event.delivery_key.as_str())
        .collect();
    let facts: Vec<Vec<u8>> = events
        .iter()
        .map(|event| event.event.facts.digest().to_vec())
        .collect();
    let authenticated_by: Vec<&str> = events
        .iter()
        .map(|event| event.authenticated_by.as_str())
        .collect();
    let received_at: Vec<Timestamp> = events.iter().map(|event| event.received_at).collect();
    let bodies: Vec<&[u8]> = events.iter().map(|event| event.body.as_ref()).collect();
    let traces: Vec<Option<&str>> = events
        .iter()
        .map(|event| event.trace_id.as_deref())
        .collect();
    let rows = transaction
        .query(
            INSERT,
            &[
                &ids,
                &merchants,
                &providers,
                &kinds,
                &keys,
                &facts,
                &authenticated_by,
                &received_at,
                &bodies,
                &traces,
            ],
        )
        .await?;
    rows.iter()
        .map(|row| Ok(EventId::from_uuid(row.try_get(0)?)))
        .collect()
}

async fn lock_known(
    transaction: &Transaction<'_>,
    events: &[&IncomingEvent],
) -> Result<Vec<((MerchantId, Provider, String), Head)>, LedgerError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let merchants: Vec<Uuid> = events.iter().map(|event| event.merchant.uuid()).collect();
    let providers: Vec<&str> = events.iter().map(|event| event.provider.as_str()).collect();
    let keys: Vec<&str> = events
        .iter()
        .map(|event| event.event.delivery_key.as_str())
        .collect();
    let rows = transaction
        .query(LOCK_KNOWN, &[&merchants, &providers, &keys])
        .await?;
    let mut known = Vec::with_capacity(rows.len());
    for row in rows {
        let id: Uuid = row.try_get(0)?;
        let unreadable = |column| LedgerError::Stored {
            table: "events",
            column,
            row: id.to_string(),
        };
        let merchant = MerchantId::from_uuid(row.try_get(1)?);
        let provider = row
            .try_get::<_, &str>(2)?
            .parse()
            .map_err(|_| unreadable("provider"))?;
        let facts = row
            .try_get::<_, &[u8]>(4)?
            .try_into()
            .map_err(|_| unreadable("facts_sha256"))?;
        known.push((
            (merchant, provider, row.try_get(3)?),
            Head {
                id: EventId::from_uuid(id),
                facts,
            },
        ));
    }
    Ok(known)
}

async fn count_duplicates(
    transaction: &Transaction<'_>,
    batch: &[IncomingEvent],
    deliveries: &[Delivery],
    heads: &HashMap<DeliveryKey<'_>, Head>,
) -> Result<(), LedgerError> {
    let mut duplicates: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (event, delivery) in batch.iter().zip(deliveries) {
        if *delivery == Delivery::Duplicate {
            *duplicates.entry(heads[&event.key()].id.uuid()).or_default() += 1;
        }
    }
    if duplicates.is_empty() {
        return Ok(());
    }
    let (ids, counts): (Vec<Uuid>, Vec<i64>) = duplicates.into_iter().unzip();
    transaction
        .execute(COUNT_DUPLICATES, &[&ids, &counts])
        .await
        .map(drop)
}

async fn keep_conflicts(
    transaction: &Transaction<'_>,
    batch: &[IncomingEvent],
    deliveries: &[Delivery],
    heads: &HashMap<DeliveryKey<'_>, Head>,
) -> Result<(), LedgerError> {
    let mut flagged = Vec::new();
    for (event, delivery) in batch.iter().zip(deliveries) {
        if *delivery == Delivery::Conflict {
            let head = heads[&event.key()].id;
            insert_conflict(transaction, head, event).await?;
            flagged.push(Settled {
                event: head,
                payment: None,
                flagged: true,
            });
        }
    }
    settle(transaction, &flagged).await
}

async fn insert_conflict(
    transaction: &Transaction<'_>,
    head: EventId,
    event: &IncomingEvent,
) -> Result<(), LedgerError> {
    let facts = event.event.facts.digest();
    transaction
        .execute(
            INSERT_CONFLICT,
            &[
                &head.uuid(),
                &facts.as_slice(),
                &event.id.uuid(),
                &event.received_at,
                &event.body.as_ref(),
            ],
        )
        .await
        .map(drop)
}

/// Which payment an event is about, and whether a person looks at it.
#[derive(Clone, Copy)]
pub(crate) struct Settled {
    pub(crate) event: EventId,
    pub(crate) payment: Option<PaymentId>,
    pub(crate) flagged: bool,
}

pub(crate) async fn settle(
    transaction: &Transaction<'_>,
    settled: &[Settled],
) -> Result<(), LedgerError> {
    if settled.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = settled.iter().map(|settled| settled.event.uuid()).collect();
    let payments: Vec<Option<Uuid>> = settled
        .iter()
        .map(|settled| settled.payment.map(PaymentId::uuid))
        .collect();
    let flagged: Vec<bool> = settled.iter().map(|settled| settled.flagged).collect();
    transaction
        .execute(SETTLE, &[&ids, &payments, &flagged])
        .await
        .map(drop)
}

/// Lanes with something unfiled from these events.
pub(crate) async fn unfiled_lanes(
    transaction: &Transaction<'_>,
    events: &[EventId],
) -> Result<Vec<(EventId, DeviceId)>, LedgerError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = events.iter().map(|id| id.uuid()).collect();
    let rows = transaction.query(UNFILED_LANES, &[&ids]).await?;
    rows.iter()
        .map(|row| {
            Ok((
                EventId::from_uuid(row.try_get(0)?),
                DeviceId::from_uuid(row.try_get(1)?),
            ))
        })
        .collect()
}
