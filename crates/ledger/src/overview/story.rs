//! From what a customer or a log says to everything that became of it: arrival, events, payment,
//! sends, answers, receipt. Nothing here names a payer: no phone, no account reference, no checkout
//! id, no body.

use risiti_domain::{PaymentId, Provider};
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

/// Stories that one search finds. A person narrows a search that finds more.
const FOUND_MAX: usize = 20;

statements! {
    /// The payment that an id leads to, or the event or message without one.
    BY_ID = "
        SELECT coalesce(
                (SELECT coalesce(p.folded_into, p.id) FROM payments p WHERE p.id = $1),
                (SELECT i.payment_id FROM invoices i WHERE i.id = $1),
                (SELECT e.payment_id FROM events e WHERE e.id = $1),
                (SELECT r.payment_id FROM reversals r WHERE r.event_id = $1 LIMIT 1)),
            (SELECT e.id FROM events e WHERE e.id = $1),
            coalesce(
                (SELECT d.id FROM dead_letters d WHERE d.id = $1 AND d.invoice_id IS NULL),
                (SELECT d.id FROM dead_letters d WHERE d.event_id = $1 AND d.invoice_id IS NULL LIMIT 1))";
    /// Keys are per merchant and provider, so each pair of them is asked. Each look-up is a
    /// sub-select that has an index of its own.
    BY_TEXT = "
        SELECT found.payment
        FROM merchants m CROSS JOIN unnest($2::text[]) AS provider CROSS JOIN unnest($1::text[]) AS wanted,
        LATERAL unnest(ARRAY(SELECT p.id FROM payments p WHERE p.merchant_id = m.id AND p.provider = provider
                AND p.money_key = wanted AND p.state <> 'folded')
            || ARRAY(SELECT p.id FROM payments p WHERE p.merchant_id = m.id AND p.provider = provider
                AND p.checkout_id = wanted AND p.state <> 'folded')
            || ARRAY(SELECT p.id FROM payments p WHERE p.merchant_id = m.id AND p.provider = provider
                AND p.reference = wanted AND p.reference IS NOT NULL ORDER BY p.id DESC LIMIT 21)) AS found (payment)
        WHERE $3::text IS NULL OR m.slug = $3
        LIMIT 100";
    BY_ORDER_NUMBER = "
        SELECT p.id FROM payments p
        WHERE p.receipt = $1 AND p.provider = 'gumroad'
          AND ($2::text IS NULL OR (SELECT m.slug FROM merchants m WHERE m.id = p.merchant_id) = $2)
        ORDER BY p.id DESC LIMIT 21";
    BY_INVOICE_NO = "
        SELECT (SELECT i.payment_id FROM invoices i
                WHERE i.device_id = d.id AND i.invoice_no = $1 AND i.invoice_no IS NOT NULL)
        FROM devices d JOIN merchants m ON m.id = d.merchant_id
        WHERE $2::text IS NULL OR m.slug = $2 ORDER BY m.slug, d.id";
    /// Amounts are text, because a number of JSON becomes a float.
    PAYMENT = "
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'payment', jsonb_build_object('payment_id', p.id, 'merchant', m.slug, 'provider', p.provider,
                'state', p.state, 'money_key', p.money_key, 'receipt', p.receipt, 'amount', p.amount::text,
                'currency', p.currency, 'short_code', p.short_code, 'authenticated_by', p.authenticated_by,
                'reason', p.reason, 'flagged', p.conflict, 'occurred_at', p.occurred_at,
                'recorded_at', p.recorded_at, 'settled_at', p.settled_at),
            'events', (SELECT jsonb_agg(jsonb_build_object('event_id', e.id, 'kind', e.kind,
                    'received_at', e.received_at, 'recorded_at', e.recorded_at,
                    'authenticated_by', e.authenticated_by, 'duplicates', e.duplicates, 'conflict', e.conflict)
                    ORDER BY e.received_at, e.id)
                FROM events e WHERE e.payment_id = p.id),
            'reversals', (SELECT jsonb_agg(jsonb_build_object('event_id', r.event_id, 'state', r.state,
                    'amount', r.amount::text, 'credited', r.credited::text, 'recorded_at', r.recorded_at)
                    ORDER BY r.recorded_at)
                FROM reversals r
                WHERE r.merchant_id = p.merchant_id AND r.provider = p.provider AND r.of_money_key = p.money_key),
            'moves', (SELECT jsonb_agg(jsonb_build_object('at', t.at, 'from', t.from_state, 'to', t.to_state,
                    'by', t.actor, 'reason', t.reason) ORDER BY t.at)
                FROM report_transitions t WHERE t.subject_id = p.id)))
        FROM payments p JOIN merchants m ON m.id = p.merchant_id WHERE p.id = $1";
    INVOICES = "
        SELECT jsonb_strip_nulls(jsonb_build_object('invoice_id', i.id, 'kind', i.kind, 'state', i.state,
            'device_id', i.device_id, 'lane_state', lane_state(l.device_id, l.halted_at IS NOT NULL),
            'halt_reason', l.halt_reason, 'next_try', l.retry_at, 'last_outcome', l.last_outcome,
            'breaker', (SELECT h.breaker FROM hosts h WHERE h.host = l.host),
            'sale_state', (SELECT s.state FROM invoices s WHERE s.id = i.sale_id),
            'invoice_no', i.invoice_no, 'amount', i.amount::text, 'currency', i.currency, 'attempts', i.attempts,
            'last_code', i.last_code, 'last_error', i.last_error, 'receipt_no', i.receipt_no,
            'receipt_url', i.receipt_url, 'issued_at', i.issued_at, 'created_at', i.created_at,
            'discard_wish', i.discard_wish, 'look_up_due_at', i.look_up_due_at,
            'dead_letter', (SELECT jsonb_build_object('cause', d.cause, 'code', d.code, 'message', d.message,
                    'dead_at', d.dead_at, 'replays', d.replays, 'solved_as', d.solved_as, 'solved_by', d.solved_by,
                    'solved_reason', d.solved_reason)
                FROM dead_letters d WHERE d.invoice_id = i.id),
            'sends', (SELECT jsonb_agg(jsonb_build_object('invoice_no', s.invoice_no, 'sent_at', s.sent_at,
                    'outcome', coalesce(s.outcome, 'unknown'), 'code', s.code, 'message', s.message,
                    'answered_at', s.answered_at) ORDER BY s.id)
                FROM submissions s WHERE s.invoice_id = i.id),
            'moves', (SELECT jsonb_agg(jsonb_build_object('at', t.at, 'from', t.from_state, 'to', t.to_state,
                    'by', t.actor, 'reason', t.reason) ORDER BY t.at)
                FROM report_transitions t WHERE t.subject_id = i.id)))
        FROM invoices i JOIN lanes l ON l.device_id = i.device_id
        WHERE i.payment_id = $1 ORDER BY i.created_at, i.id";
    EVENT = "
        SELECT jsonb_strip_nulls(jsonb_build_object('events', jsonb_build_array(jsonb_build_object(
            'event_id', e.id, 'merchant', m.slug, 'provider', e.provider, 'kind', e.kind,
            'received_at', e.received_at, 'recorded_at', e.recorded_at, 'authenticated_by', e.authenticated_by,
            'duplicates', e.duplicates, 'conflict', e.conflict)),
            'reversals', (SELECT jsonb_agg(jsonb_build_object('event_id', r.event_id, 'state', r.state,
                    'amount', r.amount::text, 'credited', r.credited::text, 'recorded_at', r.recorded_at))
                FROM reversals r WHERE r.event_id = e.id)))
        FROM events e JOIN merchants m ON m.id = e.merchant_id WHERE e.id = $1";
    MESSAGE = "
        SELECT jsonb_strip_nulls(jsonb_build_object('dead_letter', jsonb_build_object('dead_letter_id', d.id,
            'merchant', m.slug, 'provider', d.provider, 'event_id', d.event_id, 'cause', d.cause,
            'message', d.message, 'deliveries', d.deliveries, 'dead_at', d.dead_at, 'replays', d.replays,
            'solved_as', d.solved_as, 'solved_by', d.solved_by, 'solved_reason', d.solved_reason)))
        FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id WHERE d.id = $1";
}

/// What a search found, newest payment first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundStories {
    /// One object for each: `payment`, `events`, `reversals`, `moves`, `invoices`, `dead_letter`. A
    /// key is missing where there is nothing.
    pub stories: Vec<Value>,
    /// Whether there were more than are shown.
    pub more: bool,
}

/// What a text leads to.
#[derive(Default)]
struct Hits {
    payments: Vec<Uuid>,
    event: Option<Uuid>,
    message: Option<Uuid>,
}

impl Ledger {
    /// Finds what a text names: an M-Pesa receipt, a checkout id, a reference, an order number, an
    /// invoice number, or the id of a payment, invoice, event or dead letter. `merchant` narrows
    /// all but ids.
    pub async fn find_stories(
        &self,
        text: &str,
        merchant: Option<&str>,
    ) -> Result<FoundStories, LedgerError> {
        let mut hits = self.hits(text, merchant).await?;
        let more = hits.payments.len() > FOUND_MAX;
        hits.payments.truncate(FOUND_MAX);

        let mut stories = Vec::new();
        for payment in hits.payments {
            stories.extend(self.payment_story(payment).await?);
        }
        for (statement, id) in [(EVENT, hits.event), (MESSAGE, hits.message)] {
            if let Some(id) = id {
                let row = self
                    .connection()
                    .await?
                    .query_opt(statement, &[&id])
                    .await?;
                let story: Option<Value> = row.map(|row| row.try_get(0)).transpose()?;
                stories.extend(story);
            }
        }
        Ok(FoundStories { stories, more })
    }

    /// The payments that a text names as in [`find_stories`](Self::find_stories), newest first.
    pub async fn payments_named(
        &self,
        text: &str,
        merchant: Option<&str>,
    ) -> Result<Vec<PaymentId>, LedgerError> {
        let hits = self.hits(text, merchant).await?;
        Ok(hits
            .payments
            .into_iter()
            .map(PaymentId::from_uuid)
            .collect())
    }

    async fn hits(&self, text: &str, merchant: Option<&str>) -> Result<Hits, LedgerError> {
        let text = text.trim();
        let mut hits = match text.parse::<Uuid>() {
            Ok(id) => self.hits_of_id(id).await?,
            Err(_) => Hits::default(),
        };
        if hits.payments.is_empty() && hits.event.is_none() && hits.message.is_none() {
            hits.payments = self.payments_of_text(text, merchant).await?;
        }
        Ok(hits)
    }

    async fn hits_of_id(&self, id: Uuid) -> Result<Hits, LedgerError> {
        let row = self.connection().await?.query_one(BY_ID, &[&id]).await?;
        let payment: Option<Uuid> = row.try_get(0)?;
        // The payment's story has its events.
        let event: Option<Uuid> = row.try_get(1)?;
        Ok(Hits {
            payments: payment.into_iter().collect(),
            event: event.filter(|_| payment.is_none()),
            message: row.try_get(2)?,
        })
    }

    /// The payments that a text leads to, newest first and each once.
    async fn payments_of_text(
        &self,
        text: &str,
        merchant: Option<&str>,
    ) -> Result<Vec<Uuid>, LedgerError> {
        let connection = self.connection().await?;
        // Customers read M-Pesa receipts off a telephone and type them in lower case.
        let mut texts = vec![text.to_owned(), text.to_ascii_uppercase()];
        texts.dedup();
        let providers: Vec<&str> = Provider::ALL.iter().map(|known| known.as_str()).collect();

        let mut rows = connection
            .query(BY_TEXT, &[&texts, &providers, &merchant])
            .await?;
        rows.extend(
            connection
                .query(BY_ORDER_NUMBER, &[&text, &merchant])
                .await?,
        );
        if let Ok(number) = text.parse::<i64>() {
            rows.extend(
                connection
                    .query(BY_INVOICE_NO, &[&number, &merchant])
                    .await?,
            );
        }

        let mut payments = Vec::new();
        for row in &rows {
            payments.extend(row.try_get::<_, Option<Uuid>>(0)?);
        }
        payments.sort_unstable_by(|a, b| b.cmp(a));
        payments.dedup();
        Ok(payments)
    }

    async fn payment_story(&self, payment: Uuid) -> Result<Option<Value>, LedgerError> {
        let connection = self.connection().await?;
        let Some(row) = connection.query_opt(PAYMENT, &[&payment]).await? else {
            return Ok(None);
        };
        let mut story: Value = row.try_get(0)?;
        let rows = connection.query(INVOICES, &[&payment]).await?;
        let invoices: Result<Vec<Value>, _> = rows.iter().map(|row: &Row| row.try_get(0)).collect();
        story["invoices"] = Value::Array(invoices?);
        Ok(Some(story))
    }
}
