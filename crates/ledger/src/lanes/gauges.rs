//! The counts that etims-worker exports as gauges.

use std::collections::BTreeMap;

use risiti_domain::{InvoiceState, LaneState};

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    INVOICES = "SELECT state, count(*) FROM invoices GROUP BY state";
    OLDEST = "
        SELECT coalesce(greatest(0, extract(epoch FROM now() - min(i.created_at))), 0)::bigint FROM invoices i
        WHERE i.state = 'submitting' OR (i.state = 'pending' AND (i.kind = 'sale'
            OR EXISTS (SELECT FROM invoices s WHERE s.id = i.sale_id AND s.state = 'success')))";
    LANES = "
        SELECT lane_state(l.device_id, l.halted_at IS NOT NULL), count(*) FROM lanes l GROUP BY 1";
    REPLAYED = "SELECT coalesce(sum(replays), 0)::bigint FROM dead_letters WHERE replays > 0";
}

/// Counts of invoices and lanes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneGauges {
    /// A state without an invoice is missing.
    pub invoices: BTreeMap<InvoiceState, i64>,
    pub lanes: BTreeMap<LaneState, i64>,
    /// Age of the oldest invoice that could be filed, or 0 when there is none.
    pub oldest_pending_seconds: i64,
    /// Replays of all dead letters so far.
    pub replayed: i64,
}

impl Ledger {
    /// Reads the counts. It reads whole tables, so that it should run seldom.
    pub async fn lane_gauges(&self) -> Result<LaneGauges, LedgerError> {
        let connection = self.connection().await?;
        let mut gauges = LaneGauges::default();
        for row in connection.query(INVOICES, &[]).await? {
            if let Ok(state) = row.try_get::<_, &str>(0)?.parse() {
                gauges.invoices.insert(state, row.try_get(1)?);
            }
        }
        for row in connection.query(LANES, &[]).await? {
            if let Ok(state) = row.try_get::<_, &str>(0)?.parse() {
                gauges.lanes.insert(state, row.try_get(1)?);
            }
        }
        gauges.oldest_pending_seconds = connection.query_one(OLDEST, &[]).await?.try_get(0)?;
        gauges.replayed = connection.query_one(REPLAYED, &[]).await?.try_get(0)?;
        Ok(gauges)
    }
}
