//! Storing events as evidence: once per delivery key, with every contradicting body beside it
//! (protocol C5).

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use risiti_domain::{DeviceId, EventId, PaymentId};
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;
use crate::recording::event::{
    Delivery, DeliveryKey, EventUpdate, IncomingEvent, KnownEvents, StoredEvent,
};

statements! {
    /// Each key is looked up by itself. A join could be planned while the table is small, and would
    /// then read it whole when it is not.
    LOCK_KNOWN = "
        SELECT k.n, e.id, e.facts_sha256, e.recorded_at
        FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY AS k (merchant_id, provider, delivery_key, n)
        CROSS JOIN LATERAL (
            SELECT e.id, e.facts_sha256, e.recorded_at FROM events e
            WHERE e.merchant_id = k.merchant_id AND e.provider = k.provider AND e.delivery_key = k.delivery_key
            FOR NO KEY UPDATE
        ) e";
    /// The rows come in the order of their keys, so that two batches with the same keys wait for
    /// each other in one direction only (protocol C2). All rows of one transaction have one
    /// `recorded_at`.
    INSERT = "
        INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by, received_at,
            body, trace_id, payment_id, conflict)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[],
            $8::timestamptz[], $9::bytea[], $10::text[], $11::uuid[], $12::bool[])
        ON CONFLICT (merchant_id, provider, delivery_key) DO NOTHING
        RETURNING recorded_at";
    COUNT_DUPLICATES = "
        UPDATE events e SET duplicates = e.duplicates + d.n
        FROM unnest($1::uuid[], $2::bigint[]) AS d (id, n) WHERE e.id = d.id";
    INSERT_CONFLICT = "
        INSERT INTO event_conflicts (event_id, facts_sha256, delivered_as, received_at, body)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (event_id, facts_sha256) DO NOTHING";
    /// Of several reasons the smallest text stays.
    FLAG_PAYMENTS = "
        UPDATE payments p SET conflict = true, reason = CASE WHEN p.conflict THEN least(p.reason, $2) ELSE $2 END
        WHERE p.id = ANY(ARRAY(SELECT e.payment_id FROM events e WHERE e.id = ANY($1) AND e.payment_id IS NOT NULL))
          AND p.state <> 'folded'";
    UPDATE = "
        UPDATE events e SET payment_id = coalesce(s.payment_id, e.payment_id), conflict = e.conflict OR s.conflict
        FROM unnest($1::uuid[], $2::uuid[], $3::bool[]) AS s (id, payment_id, conflict) WHERE e.id = s.id";
    UNFILED_LANES = "
        SELECT DISTINCT e.id, i.device_id FROM events e JOIN invoices i ON i.payment_id = e.payment_id
        WHERE e.id = ANY($1) AND i.state = 'pending'";
}

const OTHER_FACTS: &str = "a message came again with other facts";

/// Locks and reads the events that are stored under the delivery keys of a batch, in the order of
/// the keys.
pub(crate) async fn lock_known<'a>(
    transaction: &Transaction<'_>,
    batch: &'a [IncomingEvent],
) -> Result<HashMap<DeliveryKey<'a>, StoredEvent>, LedgerError> {
    let mut keys: Vec<DeliveryKey<'a>> = batch.iter().map(IncomingEvent::key).collect();
    keys.sort_unstable();
    keys.dedup();

    let merchants: Vec<Uuid> = keys.iter().map(|(merchant, ..)| merchant.uuid()).collect();
    let providers: Vec<&str> = keys
        .iter()
        .map(|(_, provider, _)| provider.as_str())
        .collect();
    let delivery_keys: Vec<&str> = keys.iter().map(|(.., key)| *key).collect();
    let rows = transaction
        .query(LOCK_KNOWN, &[&merchants, &providers, &delivery_keys])
        .await?;

    let mut known = HashMap::with_capacity(rows.len());
    for row in rows {
        let place: i64 = row.try_get(0)?;
        let id: Uuid = row.try_get(1)?;
        let unreadable = || LedgerError::Stored {
            table: "events",
            column: "facts_sha256",
            row: id.to_string(),
        };
        let facts = row.try_get::<_, &[u8]>(2)?.try_into();
        let stored = StoredEvent {
            id: EventId::from_uuid(id),
            facts: facts.map_err(|_| unreadable())?,
            recorded_at: row.try_get(3)?,
        };
        // The places of rows count from one.
        let key = usize::try_from(place - 1).ok().and_then(|at| keys.get(at));
        known.extend(key.map(|key| (*key, stored)));
    }
    Ok(known)
}

/// Inserts events with what is known of each by now, and returns when the transaction began.
///
/// # Errors
/// [`LedgerError::Moved`] when another transaction stored one of the delivery keys meanwhile.
pub(crate) async fn insert(
    transaction: &Transaction<'_>,
    events: &[&IncomingEvent],
    updates: &HashMap<EventId, EventUpdate>,
) -> Result<Timestamp, LedgerError> {
    let mut events = events.to_vec();
    events.sort_unstable_by_key(|event| event.key());

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
    let digests: Vec<[u8; 32]> = events
        .iter()
        .map(|event| event.event.facts.digest())
        .collect();
    let facts: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
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
    let payments: Vec<Option<Uuid>> = events
        .iter()
        .map(|event| updates.get(&event.id)?.payment.map(PaymentId::uuid))
        .collect();
    let flagged: Vec<bool> = events
        .iter()
        .map(|event| updates.get(&event.id).is_some_and(|update| update.flagged))
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
                &payments,
                &flagged,
            ],
        )
        .await?;
    match rows.first() {
        Some(row) if rows.len() == events.len() => row.try_get(0).map_err(LedgerError::from),
        _ => Err(LedgerError::Moved {
            table: "events",
            row: "with a delivery key of this batch".to_owned(),
        }),
    }
}

/// Counts the duplicates of a batch at the events that they repeat.
pub(crate) async fn count_duplicates(
    transaction: &Transaction<'_>,
    batch: &[IncomingEvent],
    deliveries: &[Delivery],
    known: &KnownEvents<'_>,
) -> Result<(), LedgerError> {
    let mut duplicates: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (event, delivery) in batch.iter().zip(deliveries) {
        if *delivery == Delivery::Duplicate {
            *duplicates.entry(known.id(event).uuid()).or_default() += 1;
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

/// Keeps the bodies of conflicting events and flags the events they contradict, with their payments.
pub(crate) async fn keep_conflicts(
    transaction: &Transaction<'_>,
    batch: &[IncomingEvent],
    deliveries: &[Delivery],
    known: &KnownEvents<'_>,
) -> Result<(), LedgerError> {
    let mut flagged = Vec::new();
    for (event, delivery) in batch.iter().zip(deliveries) {
        if *delivery == Delivery::Conflict {
            let stored = known.id(event);
            insert_conflict(transaction, stored, event).await?;
            flagged.push(EventUpdate {
                event: stored,
                payment: None,
                flagged: true,
            });
        }
    }
    if flagged.is_empty() {
        return Ok(());
    }
    update(transaction, &flagged).await?;
    let ids: Vec<Uuid> = flagged.iter().map(|update| update.event.uuid()).collect();
    transaction
        .execute(FLAG_PAYMENTS, &[&ids, &OTHER_FACTS])
        .await
        .map(drop)
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
