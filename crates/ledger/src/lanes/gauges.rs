//! What etims-worker exports as gauges. Each reading has a time limit of its own, so that a slow
//! one costs only itself.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use risiti_domain::{InvoiceState, LaneState};
use tokio_postgres::Row;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{Statement, millis, statements};

/// The longest that one reading may take.
const READING_MAX: Duration = Duration::from_secs(2);

statements! {
    /// Limits the rest of the transaction.
    LIMIT_TIME = "SELECT set_config('statement_timeout', $1::bigint::text, true)";
    /// It walks through the open invoices by age and stops at the first that is eligible. The sale
    /// of a credit note is a sub-select of one value. For `EXISTS` the plan could read all of them.
    OLDEST = "
        SELECT coalesce((
            SELECT greatest(0, extract(epoch FROM now() - i.created_at)) FROM invoices i
            WHERE i.state IN ('pending', 'submitting') AND (i.state = 'submitting' OR i.kind = 'sale'
                OR (SELECT s.state FROM invoices s WHERE s.id = i.sale_id) = 'success')
            ORDER BY i.created_at LIMIT 1), 0)::bigint";
    LANES = "
        SELECT lane_state(l.device_id, l.halted_at IS NOT NULL), count(*) FROM lanes l GROUP BY 1";
    UNFILED = "SELECT state, count(*) FROM invoices WHERE state <> 'success' GROUP BY state";
    /// It reads the whole table, which is why it is apart from the others.
    FILED = "SELECT count(*) FROM invoices WHERE state = 'success'";
    REPLAYED = "SELECT coalesce(sum(replays), 0)::bigint FROM dead_letters WHERE replays > 0";
}

impl Ledger {
    /// Reads the age of the oldest invoice that could be filed, or 0 when there is none.
    pub async fn oldest_pending_seconds(&self) -> Result<i64, LedgerError> {
        number(self.reading(OLDEST).await?)
    }

    /// Counts lanes. A state without a lane is missing.
    pub async fn count_lanes(&self) -> Result<BTreeMap<LaneState, i64>, LedgerError> {
        counts(self.reading(LANES).await?)
    }

    /// Counts invoices that are not filed. A state without an invoice is missing.
    pub async fn count_unfiled_invoices(&self) -> Result<BTreeMap<InvoiceState, i64>, LedgerError> {
        counts(self.reading(UNFILED).await?)
    }

    /// Counts invoices that are filed.
    pub async fn count_filed_invoices(&self) -> Result<i64, LedgerError> {
        number(self.reading(FILED).await?)
    }

    /// Counts the replays of all dead letters so far.
    pub async fn count_replays(&self) -> Result<i64, LedgerError> {
        number(self.reading(REPLAYED).await?)
    }

    pub(crate) async fn reading(&self, statement: Statement) -> Result<Vec<Row>, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        transaction
            .query_one(LIMIT_TIME, &[&millis(READING_MAX)])
            .await?;
        let rows = transaction.query(statement, &[]).await?;
        transaction.commit().await?;
        Ok(rows)
    }
}

fn number(rows: Vec<Row>) -> Result<i64, LedgerError> {
    rows.first().map_or(Ok(0), |row| Ok(row.try_get(0)?))
}

fn counts<State: FromStr + Ord>(rows: Vec<Row>) -> Result<BTreeMap<State, i64>, LedgerError> {
    let mut counts = BTreeMap::new();
    for row in rows {
        if let Ok(state) = row.try_get::<_, &str>(0)?.parse() {
            counts.insert(state, row.try_get(1)?);
        }
    }
    Ok(counts)
}
