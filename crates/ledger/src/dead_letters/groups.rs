//! Dead letters that have the same merchant, cause, code and words, as one line each.

use jiff::Timestamp;
use risiti_domain::DeadCause;
use serde::Serialize;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::dead_letters::list::{DeadLetterFilter, cause, in_scope, matches_filter};

statements! {
    /// Words are alike but for the numbers in them, such as the invoice's.
    GROUPS = concat!("
        SELECT m.slug, d.cause, d.code, regexp_replace(d.message, '[0-9]+', 'N', 'g'), count(*),
               sum(d.deliveries)::bigint, min(d.dead_at), max(d.dead_at), min(d.id::text)::uuid
        FROM dead_letters d LEFT JOIN merchants m ON m.id = d.merchant_id
        WHERE ", matches_filter!(), " AND ", in_scope!(), "
        GROUP BY 1, 2, 3, 4 ORDER BY max(d.dead_at) DESC, 1, 2, 3, 4 LIMIT $9");
}

/// Dead letters that are alike. Scripts rely on the keys it is serialised with.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetterGroup {
    /// The merchant's slug.
    pub merchant: Option<String>,
    pub cause: DeadCause,
    pub code: Option<String>,
    /// KRA's words or the error, with N for each number.
    pub message: Option<String>,
    pub count: i64,
    /// How often the same bytes came, all together.
    pub deliveries: i64,
    pub oldest: Timestamp,
    pub newest: Timestamp,
    /// One of them, to look at.
    pub sample: Uuid,
}

impl Ledger {
    /// Groups dead letters, those with the newest first.
    pub async fn dead_letter_groups(
        &self,
        filter: &DeadLetterFilter,
        limit: u32,
    ) -> Result<Vec<DeadLetterGroup>, LedgerError> {
        let limit = i64::from(limit);
        let params = filter.params();
        let connection = self.connection().await?;
        let rows = connection.query(GROUPS, &params.with(&[&limit])).await?;
        rows.iter()
            .map(|row| {
                Ok(DeadLetterGroup {
                    merchant: row.try_get(0)?,
                    cause: cause(row.try_get(1)?, "a group")?,
                    code: row.try_get(2)?,
                    message: row.try_get(3)?,
                    count: row.try_get(4)?,
                    deliveries: row.try_get(5)?,
                    oldest: row.try_get(6)?,
                    newest: row.try_get(7)?,
                    sample: row.try_get(8)?,
                })
            })
            .collect()
    }
}
