//! The cap of calls in flight per KRA host, and each live worker's share of it (protocol D5).

use std::time::Duration;

use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

/// A worker that sent no heartbeat for this long loses its share.
pub const HEARTBEAT_EXPIRY: Duration = Duration::from_secs(10);

/// The advisory lock under which one worker at a time changes its share.
const SHARES_LOCK: i64 = 0x7269_7369_7469_0001;

statements! {
    LOCK = "SELECT pg_advisory_xact_lock($1)";
    REMOVE_EXPIRED = "DELETE FROM etims_processes WHERE heartbeat_at < clock_timestamp() - interval '10 seconds' AND process_id <> $1";
    /// It ranks the workers by id, so that the remainder of cap ÷ workers goes to the same ones in
    /// every worker's view.
    OTHERS = "
        SELECT h.host, count(p.process_id), coalesce(sum(p.share), 0)::bigint,
               count(p.process_id) FILTER (WHERE p.process_id < $1)
        FROM hosts h LEFT JOIN etims_processes p ON p.host = h.host AND p.process_id <> $1
        GROUP BY h.host ORDER BY h.host";
    BEAT = "
        INSERT INTO etims_processes (process_id, host, share, heartbeat_at)
        SELECT $1, host, share, clock_timestamp() FROM unnest($2::text[], $3::int[]) AS s (host, share)
        ON CONFLICT (process_id, host) DO UPDATE SET share = excluded.share, heartbeat_at = excluded.heartbeat_at";
    LEAVE = "DELETE FROM etims_processes WHERE process_id = $1";
}

/// What the other live workers leave of one host's cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostShares {
    pub host: String,
    pub others: u32,
    /// The sum of the others' shares.
    pub taken: u32,
    /// How many of the others rank before this worker.
    pub before: u32,
}

impl HostShares {
    /// The share this worker should have. It is its part of the cap, and never more than the others
    /// leave.
    pub fn share(&self, cap: u32) -> u32 {
        let workers = self.others + 1;
        let part = cap / workers + u32::from(self.before < cap % workers);
        part.min(cap.saturating_sub(self.taken))
    }
}

impl Ledger {
    /// Records that this worker lives, and settles its share of every host, one worker at a time.
    ///
    /// `settle` gets what the others hold and returns what to record as held here. That is the new
    /// share, or the calls still in flight if those are more. A higher share may be used once this
    /// has returned.
    pub async fn heartbeat(
        &self,
        worker: Uuid,
        mut settle: impl FnMut(&HostShares) -> u32 + Send,
    ) -> Result<(), LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        transaction.query_one(LOCK, &[&SHARES_LOCK]).await?;
        transaction.execute(REMOVE_EXPIRED, &[&worker]).await?;

        let mut hosts = Vec::new();
        let mut shares = Vec::new();
        for row in transaction.query(OTHERS, &[&worker]).await? {
            let count = |index| {
                Ok::<u32, LedgerError>(
                    u32::try_from(row.try_get::<_, i64>(index)?).unwrap_or(u32::MAX),
                )
            };
            let others = HostShares {
                host: row.try_get(0)?,
                others: count(1)?,
                taken: count(2)?,
                before: count(3)?,
            };
            shares.push(i32::try_from(settle(&others)).unwrap_or(i32::MAX));
            hosts.push(others.host);
        }

        transaction
            .execute(BEAT, &[&worker, &hosts, &shares])
            .await?;
        transaction.commit().await
    }

    /// Gives back this worker's shares.
    pub async fn leave(&self, worker: Uuid) -> Result<(), LedgerError> {
        self.connection()
            .await?
            .execute(LEAVE, &[&worker])
            .await
            .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(others: u32, taken: u32, before: u32) -> HostShares {
        HostShares {
            host: "kra:443".to_owned(),
            others,
            taken,
            before,
        }
    }

    #[test]
    fn the_shares_add_up_to_the_cap() {
        for workers in 1..=60 {
            let sum: u32 = (0..workers)
                .map(|before| shares(workers - 1, 0, before).share(50))
                .sum();
            assert_eq!(sum, 50, "{workers} workers");
        }
    }

    #[test]
    fn a_newcomer_takes_only_what_is_free() {
        assert_eq!(shares(1, 50, 0).share(50), 0);
        assert_eq!(shares(1, 40, 0).share(50), 10);
        assert_eq!(shares(1, 25, 0).share(50), 25);
        assert_eq!(
            shares(2, 70, 0).share(50),
            0,
            "shares above the cap leave nothing"
        );
    }
}
