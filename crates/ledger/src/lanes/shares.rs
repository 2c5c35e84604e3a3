//! The cap of calls in flight per KRA host, and each live worker's share of it (protocol D5).

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{millis, statements};

/// A worker that sent no heartbeat for this long counts as gone. Its share stays taken for the
/// length of its longest call, because calls that it made before may still be under way.
pub const HEARTBEAT_EXPIRY: Duration = Duration::from_secs(10);

/// The class of the advisory locks under which shares are raised, one lock for each host.
const RAISE_LOCKS: i32 = 0x7269_7369;

statements! {
    /// Renews the heartbeat, which keeps the shares as they are, and reads what the others hold. It
    /// takes no lock. A row that another worker has removed is not made again here, because its
    /// share may belong to somebody else now.
    ///
    /// It ranks the workers by id, so that the remainder of cap ÷ workers goes to the same ones in
    /// every worker's view.
    RENEW = "
        WITH mine AS (
            UPDATE etims_processes SET heartbeat_at = clock_timestamp() WHERE process_id = $1 RETURNING host, share
        )
        SELECT h.host, count(p.process_id) FILTER (WHERE p.heartbeat_at >= clock_timestamp() - interval '10 seconds'),
               coalesce(sum(p.share), 0)::bigint,
               count(p.process_id) FILTER (WHERE p.process_id < $1
                   AND p.heartbeat_at >= clock_timestamp() - interval '10 seconds'),
               mine.share
        FROM hosts h
        LEFT JOIN mine ON mine.host = h.host
        LEFT JOIN etims_processes p ON p.host = h.host AND p.process_id <> $1
            AND p.heartbeat_at >= clock_timestamp() - interval '10 seconds' - p.call_timeout
        GROUP BY h.host, mine.share ORDER BY h.host";
    /// A lower share needs no lock, because it can only make the sum smaller.
    LOWER = "
        UPDATE etims_processes p SET share = least(p.share, s.share)
        FROM unnest($2::text[], $3::int[]) AS s (host, share)
        WHERE p.process_id = $1 AND p.host = s.host";
    TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1, hashtext($2))";
    REMOVE_EXPIRED = "
        DELETE FROM etims_processes
        WHERE host = $2 AND process_id <> $1
          AND heartbeat_at < clock_timestamp() - interval '10 seconds' - call_timeout";
    OTHERS = "
        SELECT h.host, count(p.process_id) FILTER (WHERE p.heartbeat_at >= clock_timestamp() - interval '10 seconds'),
               coalesce(sum(p.share), 0)::bigint,
               count(p.process_id) FILTER (WHERE p.process_id < $1
                   AND p.heartbeat_at >= clock_timestamp() - interval '10 seconds'),
               NULL::int
        FROM hosts h LEFT JOIN etims_processes p ON p.host = h.host AND p.process_id <> $1
        WHERE h.host = $2 GROUP BY h.host";
    RAISE = "
        INSERT INTO etims_processes (process_id, host, share, heartbeat_at, call_timeout)
        VALUES ($1, $2, $3, clock_timestamp(), $4::bigint * interval '1 millisecond')
        ON CONFLICT (process_id, host) DO UPDATE SET share = excluded.share, heartbeat_at = excluded.heartbeat_at,
            call_timeout = excluded.call_timeout";
    /// What it keeps expires later.
    LEAVE = "DELETE FROM etims_processes WHERE process_id = $1 AND host <> ALL($2)";
}

/// What the other live workers leave of one host's cap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostShares {
    pub host: String,
    pub others: u32,
    /// The sum of the others' shares, those of silent workers among them.
    pub taken: u32,
    /// How many of the others rank before this worker.
    pub before: u32,
    /// What this worker's own row holds. `None` if it has no row, or while the row is being
    /// raised.
    pub recorded: Option<u32>,
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
    /// Records that this worker lives and reads every host's shares. It waits for no other worker.
    ///
    /// A worker whose row is missing holds nothing: it may call again once
    /// [`raise_share`](Self::raise_share) has returned.
    pub async fn renew_shares(&self, worker: Uuid) -> Result<Vec<HostShares>, LedgerError> {
        let rows = self.connection().await?.query(RENEW, &[&worker]).await?;
        rows.iter().map(read).collect()
    }

    /// Records lower shares of these hosts. A share that is recorded lower already stays.
    pub async fn lower_shares(
        &self,
        worker: Uuid,
        shares: &[(String, u32)],
    ) -> Result<(), LedgerError> {
        let hosts: Vec<&str> = shares.iter().map(|(host, _)| host.as_str()).collect();
        let shares: Vec<i32> = shares.iter().map(|(_, share)| int(*share)).collect();
        self.connection()
            .await?
            .execute(LOWER, &[&worker, &hosts, &shares])
            .await
            .map(drop)
    }

    /// Settles this worker's share of one host where it may grow, one worker at a time.
    ///
    /// `call_timeout` is how long a call of this worker may last, for which its share stays taken
    /// when it falls silent. `settle` gets what the others hold and returns what to record as held here. That is the new
    /// share, or the calls still in flight if those are more. The share may be used once this has
    /// returned `true`. `false` means that another worker is settling its share of this host now,
    /// and nothing was done.
    pub async fn raise_share(
        &self,
        worker: Uuid,
        host: &str,
        call_timeout: Duration,
        settle: impl FnOnce(&HostShares) -> u32 + Send,
    ) -> Result<bool, LedgerError> {
        let mut connection = self.connection().await?;
        let transaction = connection.transaction().await?;
        let locked = transaction
            .query_one(TRY_LOCK, &[&RAISE_LOCKS, &host])
            .await?;
        if !locked.try_get(0)? {
            return Ok(false);
        }

        transaction
            .execute(REMOVE_EXPIRED, &[&worker, &host])
            .await?;
        let Some(row) = transaction.query_opt(OTHERS, &[&worker, &host]).await? else {
            return Ok(false);
        };
        let share = int(settle(&read(&row)?));
        transaction
            .execute(RAISE, &[&worker, &host, &share, &millis(call_timeout)])
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Gives back this worker's shares. `abandoned` tells how many calls it leaves under way, which
    /// count for as long as a call may last.
    pub async fn leave(
        &self,
        worker: Uuid,
        abandoned: &[(String, u32)],
    ) -> Result<(), LedgerError> {
        if !abandoned.is_empty() {
            self.lower_shares(worker, abandoned).await?;
        }
        let kept: Vec<&str> = abandoned.iter().map(|(host, _)| host.as_str()).collect();
        self.connection()
            .await?
            .execute(LEAVE, &[&worker, &kept])
            .await
            .map(drop)
    }
}

fn read(row: &Row) -> Result<HostShares, LedgerError> {
    let count = |index| {
        let count = row.try_get::<_, i64>(index)?;
        Ok::<u32, LedgerError>(u32::try_from(count).unwrap_or(u32::MAX))
    };
    Ok(HostShares {
        host: row.try_get(0)?,
        others: count(1)?,
        taken: count(2)?,
        before: count(3)?,
        recorded: row.try_get::<_, Option<i32>>(4)?.map(i32::unsigned_abs),
    })
}

fn int(share: u32) -> i32 {
    i32::try_from(share).unwrap_or(i32::MAX)
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
            recorded: None,
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
