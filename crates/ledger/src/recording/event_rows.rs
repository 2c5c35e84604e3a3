//! Storing events as evidence: once per delivery key, with every contradicting body beside it
//! (protocol C5).

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use risiti_domain::{DeviceId, EventId, MerchantId, PaymentId, Provider};
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::event::{
    Delivery, DeliveryKey, EventUpdate, IncomingEvent, StoredEvent, compare, firsts,
};

statements! {
    /// The rows come in the order of their keys, so that two batches with the same keys wait for
    /// each other in one direction only (protocol C2).
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
    UPDATE = "
        UPDATE events e SET payment_id = coalesce(s.payment_id, e.payment_id), conflict = e.conflict OR s.conflict
        FROM unnest($1::uuid[], $2::uuid[], $3::bool[]) AS s (id, payment_id, conflict) WHERE e.id = s.id";
    UNFILED_LANES = "
        SELECT DISTINCT e.id, i.device_id FROM events e JOIN invoices i ON i.payment_id = e.payment_id
        WHERE e.id = ANY($1) AND i.state = 'pending'";
}

/// Stores a batch and says of each event how it compares with what is stored. From here on every
/// delivery key of the batch is locked.
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

    // What the batch itself brought first, and over it what was stored before.
    let mut by_key: HashMap<DeliveryKey<'_>, StoredEvent> = firsts
        .iter()
        .map(|event| (event.key(), StoredEvent::of(event)))
        .collect();
    by_key.extend(
        stored.iter().map(|((merchant, provider, key), event)| {
            ((*merchant, *provider, key.as_str()), *event)
        }),
    );

    let deliveries = compare(batch, &inserted, &by_key);
    count_duplicates(transaction, batch, &deliveries, &by_key).await?;
    keep_conflicts(transaction, batch, &deliveries, &by_key).await?;
    Ok(deliveries)
}

/// Inserts events and returns the ids of those whose delivery key was new.
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

/// Locks and reads the stored events that have the delivery keys of these events.
async fn lock_known(
    transaction: &Transaction<'_>,
    events: &[&IncomingEvent],
) -> Result<Vec<((MerchantId, Provider, String), StoredEvent)>, LedgerError> {
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
            StoredEvent {
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
    by_key: &HashMap<DeliveryKey<'_>, StoredEvent>,
) -> Result<(), LedgerError> {
    let mut duplicates: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (event, delivery) in batch.iter().zip(deliveries) {
        if *delivery == Delivery::Duplicate {
            *duplicates
                .entry(by_key[&event.key()].id.uuid())
                .or_default() += 1;
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

/// Keeps the bodies of conflicting events and flags the events they contradict.
async fn keep_conflicts(
    transaction: &Transaction<'_>,
    batch: &[IncomingEvent],
    deliveries: &[Delivery],
    by_key: &HashMap<DeliveryKey<'_>, StoredEvent>,
) -> Result<(), LedgerError> {
    let mut flagged = Vec::new();
    for (event, delivery) in batch.iter().zip(deliveries) {
        if *delivery == Delivery::Conflict {
            let stored = by_key[&event.key()].id;
            insert_conflict(transaction, stored, event).await?;
            flagged.push(EventUpdate {
                event: stored,
                payment: None,
                flagged: true,
            });
        }
    }
    update(transaction, &flagged).await
}

async fn insert_conflict(
    transaction: &Transaction<'_>,
    stored: EventId,
    event: &IncomingEvent,
) -> Result<(), LedgerError> {
    let facts = event.event.facts.digest();
    transaction
        .execute(
            INSERT_CONFLICT,
            &[
                &stored.uuid(),
                &facts.as_slice(),
                &event.id.uuid(),
                &event.received_at,
                &event.body.as_ref(),
            ],
        )
        .await
        .map(drop)
}

/// Writes which payments events are about and which events are flagged. An event may be in
/// `updates` once only, because `UPDATE … FROM` would take any one of several.
pub(crate) async fn update(
    transaction: &Transaction<'_>,
    updates: &[EventUpdate],
) -> Result<(), LedgerError> {
    if updates.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = updates.iter().map(|update| update.event.uuid()).collect();
    let payments: Vec<Option<Uuid>> = updates
        .iter()
        .map(|update| update.payment.map(PaymentId::uuid))
        .collect();
    let flagged: Vec<bool> = updates.iter().map(|update| update.flagged).collect();
    transaction
        .execute(UPDATE, &[&ids, &payments, &flagged])
        .await
        .map(drop)
}

/// The lanes that have pending invoices of these events' payments.
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
