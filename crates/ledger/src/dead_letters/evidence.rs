//! All that is known of one dead letter, for a person to decide by and for an auditor to keep.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio_postgres::types::Json;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// One JSON object of rows as they are stored, and the bytes of the message beside it. Amounts
    /// are text, because a number of JSON becomes a float.
    ///
    /// `$2` says whether to include what could name a payer: phone, checkout id, account reference
    /// and the bodies of sends. An export needs that, and a screen does not. `moved_*` is left out
    /// because `transitions` says it better.
    EVIDENCE = "
        SELECT jsonb_strip_nulls(jsonb_build_object(
            'dead_letter', to_jsonb(d) - 'body' - 'headers' - 'body_sha256' - 'tried_in'
                || jsonb_build_object('merchant', m.slug, 'body_sha256', encode(d.body_sha256, 'hex'),
                    'amount', d.amount::text),
            'invoice', to_jsonb(i) - 'moved_by' - 'moved_because' - 'moved_event'
                || jsonb_build_object('amount', i.amount::text),
            'payment', CASE WHEN $2 THEN to_jsonb(p) ELSE to_jsonb(p) - 'phone' - 'checkout_id' - 'reference' END
                - 'moved_by' - 'moved_because' - 'moved_event' || jsonb_build_object('amount', p.amount::text),
            'event', (SELECT jsonb_build_object('event_id', e.id, 'kind', e.kind, 'received_at', e.received_at,
                    'authenticated_by', e.authenticated_by, 'duplicates', e.duplicates, 'conflict', e.conflict,
                    'body_removed_at', e.body_removed_at)
                FROM events e WHERE e.id = d.event_id),
            'submissions', (SELECT jsonb_agg(jsonb_build_object('invoice_no', s.invoice_no, 'sent_at', s.sent_at,
                    'outcome', coalesce(s.outcome, 'unknown'), 'code', s.code, 'message', s.message,
                    'answered_at', s.answered_at, 'body_removed_at', s.body_removed_at,
                    'body', CASE WHEN $2 THEN convert_from(s.body, 'UTF8') END) ORDER BY s.id)
                FROM submissions s WHERE s.invoice_id = d.invoice_id),
            'transitions', (SELECT jsonb_agg(to_jsonb(t) ORDER BY t.at)
                FROM report_transitions t WHERE t.subject = 'invoice' AND t.subject_id = d.invoice_id))),
            d.body, d.headers
        FROM dead_letters d
        LEFT JOIN merchants m ON m.id = d.merchant_id
        LEFT JOIN invoices i ON i.id = d.invoice_id
        LEFT JOIN payments p ON p.id = i.payment_id
        WHERE d.id = $1";
}

/// A dead letter with everything around it. There is no `Debug`, because it may hold phones and
/// bodies.
pub struct Evidence {
    /// Rows by what they are: `dead_letter`, `invoice`, `payment`, `event`, `submissions`,
    /// `transitions`. A key is missing where there is no such row.
    pub record: Value,
    /// The bytes of an unreadable or poison message.
    pub body: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
}

impl Ledger {
    /// Reads one dead letter, with what could name a payer if `whole` is set. `None` when there is
    /// no such dead letter.
    pub async fn dead_letter_evidence(
        &self,
        id: Uuid,
        whole: bool,
    ) -> Result<Option<Evidence>, LedgerError> {
        let row = self
            .connection()
            .await?
            .query_opt(EVIDENCE, &[&id, &whole])
            .await?;
        row.map(|row| {
            let headers: Option<Json<BTreeMap<String, String>>> = row.try_get(2)?;
            let headers = headers.map(|Json(headers)| headers).unwrap_or_default();
            Ok(Evidence {
                record: row.try_get(0)?,
                body: row.try_get(1)?,
                headers,
            })
        })
        .transpose()
    }
}
