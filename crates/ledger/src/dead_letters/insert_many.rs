//! Inserting many dead letters of messages at once, without a message in `[dead]` for each.

use std::collections::BTreeMap;

use risiti_domain::{EventId, MerchantId, Provider};
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::insert::MessageDeadLetter;

statements! {
    /// Counts deliveries of bodies that are dead letters already, as `COUNT_AGAIN` does of one.
    COUNT_AGAIN_MANY = "
        UPDATE dead_letters d SET deliveries = d.deliveries + n.deliveries
        FROM unnest($1::uuid[], $2::bigint[]) AS n (id, deliveries)
        WHERE d.id = n.id AND (d.solved_at IS NULL OR d.solved_as = 'discarded') AND d.body_removed_at IS NULL
        RETURNING d.id";
    /// As `INSERT_MESSAGE` does of one. The rows come in the order of their ids, so that two batches
    /// with the same bodies wait for each other in one direction only.
    INSERT_MANY = "
        INSERT INTO dead_letters (id, cause, merchant_id, event_id, provider, body, body_sha256, headers, message,
            deliveries)
        SELECT n.id, n.cause, (SELECT m.id FROM merchants m WHERE m.id = n.merchant_id), n.event_id, n.provider,
               n.body, n.body_sha256, n.headers, n.message, n.deliveries
        FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::bytea[], $7::bytea[],
            $8::jsonb[], $9::text[], $10::bigint[])
            AS n (id, cause, merchant_id, event_id, provider, body, body_sha256, headers, message, deliveries)
        ON CONFLICT (id) DO UPDATE
        SET deliveries = dead_letters.deliveries + excluded.deliveries, cause = excluded.cause,
            event_id = excluded.event_id, headers = excluded.headers, message = excluded.message,
            body = coalesce(dead_letters.body, excluded.body), body_removed_at = NULL,
            dead_at = CASE WHEN dead_letters.solved_at IS NULL THEN dead_letters.dead_at ELSE now() END,
            solved_at = NULL, solved_as = NULL, solved_by = NULL, solved_reason = NULL";
}

impl Ledger {
    /// Stores many messages as dead letters, in two statements however many they are. Returns how
    /// many of them are new. A replay finds them by their rows.
    ///
    /// # Errors
    /// An error that is not transient is about one of them.
    pub async fn insert_message_dead_letters<'a>(
        &self,
        letters: impl IntoIterator<Item = &'a MessageDeadLetter>,
    ) -> Result<usize, LedgerError> {
        let mut by_id: BTreeMap<Uuid, (&MessageDeadLetter, i64)> = BTreeMap::new();
        for letter in letters {
            by_id.entry(letter.id()).or_insert((letter, 0)).1 += 1;
        }
        let ids: Vec<Uuid> = by_id.keys().copied().collect();
        let deliveries: Vec<i64> = by_id.values().map(|(_, deliveries)| *deliveries).collect();

        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        for row in transaction
            .query(COUNT_AGAIN_MANY, &[&ids, &deliveries])
            .await?
        {
            by_id.remove(&row.try_get(0)?);
        }
        if !by_id.is_empty() {
            let rows = Columns::of(&by_id);
            transaction.execute(INSERT_MANY, &rows.params()).await?;
        }
        transaction.commit().await?;
        Ok(by_id.len())
    }
}

/// The rows to insert, a list for each column.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    causes: Vec<&'static str>,
    merchants: Vec<Option<Uuid>>,
    events: Vec<Option<Uuid>>,
    providers: Vec<Option<&'static str>>,
    bodies: Vec<&'a [u8]>,
    digests: Vec<Vec<u8>>,
    headers: Vec<Json<BTreeMap<String, String>>>,
    messages: Vec<String>,
    deliveries: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(letters: &BTreeMap<Uuid, (&'a MessageDeadLetter, i64)>) -> Self {
        let mut columns = Self::default();
        for (id, (letter, deliveries)) in letters {
            columns.ids.push(*id);
            columns.causes.push(letter.cause.as_str());
            columns
                .merchants
                .push(letter.merchant_id.map(MerchantId::uuid));
            columns.events.push(letter.event_id.map(EventId::uuid));
            columns
                .providers
                .push(letter.provider.map(Provider::as_str));
            columns.bodies.push(&letter.body);
            columns.digests.push(letter.sha256().to_vec());
            columns.headers.push(Json(letter.stored_headers()));
            columns.messages.push(letter.stored_reason());
            columns.deliveries.push(*deliveries);
        }
        columns
    }

    fn params(&self) -> [&(dyn tokio_postgres::types::ToSql + Sync); 10] {
        [
            &self.ids,
            &self.causes,
            &self.merchants,
            &self.events,
            &self.providers,
            &self.bodies,
            &self.digests,
            &self.headers,
            &self.messages,
            &self.deliveries,
        ]
    }
}
