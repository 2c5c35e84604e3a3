//! The cap of calls in flight per KRA host, and each live worker's share of it (protocol D5).

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{millis, statements};
use crate::lanes::share_split::{HostShares, RecordedShare};

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
    /// It ranks the workers by id, so that the remainder of a split goes to the same ones in every
    /// worker's view.
    RENEW = "
        WITH mine AS (
            UPDATE etims_processes p SET heartbeat_at = clock_timestamp(), wanted = coalesce(
                (SELECT w.calls FROM unnest($2::text[], $3::int[]) AS w (host, calls) WHERE w.host = p.host), 0)
            WHERE process_id = $1 RETURNING host, share, heartbeat_at
        ), others AS (
            SELECT p.*, p.heartbeat_at >= clock_timestamp() - interval '10 seconds' AS lives
            FROM etims_processes p
            WHERE p.process_id <> $1 AND p.heartbeat_at >= clock_timestamp() - interval '10 seconds' - p.call_timeout
        )
        SELECT h.host, coalesce(array_agg(p.wanted ORDER BY p.process_id) FILTER (WHERE p.lives), '{}'),
               count(*) FILTER (WHERE p.lives AND p.process_id < $1),
               coalesce(sum(p.share), 0)::bigint,
               coalesce(sum(p.share) FILTER (WHERE NOT p.lives), 0)::bigint,
               mine.share, mine.heartbeat_at
        FROM hosts h LEFT JOIN mine ON mine.host = h.host LEFT JOIN others p ON p.host = h.host
        GROUP BY h.host, mine.share, mine.heartbeat_at ORDER BY h.host";
    /// A lower share needs no lock, because it can only make the sum smaller. It belongs to one
    /// heartbeat: a statement that was given up and comes late would take a share away that the
    /// worker uses since a later one.
    LOWER = "
        UPDATE etims_processes p SET share = least(p.share, s.share)
        FROM unnest($2::text[], $3::int[], $4::timestamptz[]) AS s (host, share, heartbeat_at)
        WHERE p.process_id = $1 AND p.host = s.host AND p.heartbeat_at = s.heartbeat_at";
    KEEP = "
        UPDATE etims_processes p SET share = least(p.share, s.share)
        FROM unnest($2::text[], $3::int[]) AS s (host, share)
        WHERE p.process_id = $1 AND p.host = s.host";
    TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1, hashtext($2))";
    REMOVE_EXPIRED = "
        DELETE FROM etims_processes
        WHERE host = $2 AND process_id <> $1
          AND heartbeat_at < clock_timestamp() - interval '10 seconds' - call_timeout";
    OTHERS = "
        WITH others AS (
            SELECT p.*, p.heartbeat_at >= clock_timestamp() - interval '10 seconds' AS lives
            FROM etims_processes p WHERE p.process_id <> $1 AND p.host = $2
        )
        SELECT h.host, coalesce(array_agg(p.wanted ORDER BY p.process_id) FILTER (WHERE p.lives), '{}'),
               count(*) FILTER (WHERE p.lives AND p.process_id < $1),
               coalesce(sum(p.share), 0)::bigint,
               coalesce(sum(p.share) FILTER (WHERE NOT p.lives), 0)::bigint,
               NULL::int, NULL::timestamptz
        FROM hosts h LEFT JOIN others p ON p.host = h.host WHERE h.host = $2 GROUP BY h.host";
    RAISE = "
        INSERT INTO etims_processes (process_id, host, share, wanted, heartbeat_at, call_timeout)
        VALUES ($1, $2, $3, $4, clock_timestamp(), $5::bigint * interval '1 millisecond')
        ON CONFLICT (process_id, host) DO UPDATE SET share = excluded.share, wanted = excluded.wanted,
            heartbeat_at = excluded.heartbeat_at, call_timeout = excluded.call_timeout";
    /// What it keeps expires later.
    LEAVE = "DELETE FROM etims_processes WHERE process_id = $1 AND host <> ALL($2)";
}

/// A share to record lower, and the heartbeat that found the higher one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LowerShare {
    pub host: String,
    pub share: u32,
    pub heartbeat_at: Timestamp,
}

/// A worker's call on one host's cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// How many calls it could make at once.
    pub calls: u32,
    /// The longest of its calls. Its share stays taken for so long when it falls silent.
    pub call_timeout: Duration,
}

impl Ledger {
    /// Records that this worker lives and how many calls it could make at each host, and reads
    /// every host's shares. It waits for no other worker.
    ///
    /// A worker whose row is missing holds nothing: it may call again once
    /// [`raise_share`](Self::raise_share) has returned.
    pub async fn renew_shares(
        &self,
        worker: Uuid,
        wants: &[(String, u32)],
    ) -> Result<Vec<HostShares>, LedgerError> {
        let hosts: Vec<&str> = wants.iter().map(|(host, _)| host.as_str()).collect();
        let calls: Vec<i32> = wants.iter().map(|(_, calls)| int(*calls)).collect();
        let connection = self.connection().await?;
        let rows = connection.query(RENEW, &[&worker, &hosts, &calls]).await?;
        rows.iter().map(read).collect()
    }

    /// Records lower shares, each unless there was another heartbeat since. A share that is recorded
    /// lower already stays.
    pub async fn lower_shares(
        &self,
        worker: Uuid,
        lower: &[LowerShare],
    ) -> Result<(), LedgerError> {
        let hosts: Vec<&str> = lower.iter().map(|lower| lower.host.as_str()).collect();
        let shares: Vec<i32> = lower.iter().map(|lower| int(lower.share)).collect();
        let heartbeats: Vec<Timestamp> = lower.iter().map(|lower| lower.heartbeat_at).collect();
        self.connection()
            .await?
            .execute(LOWER, &[&worker, &hosts, &shares, &heartbeats])
            .await
            .map(drop)
    }

    /// Settles this worker's share of one host where it may grow, one worker at a time.
    ///
    /// `settle` gets what the others hold and returns what to record as held here. That is the new
    /// share, or the calls still in flight if those are more. The share may be used once this has
    /// returned `true`. `false` means that another worker is settling its share of this host now,
    /// and nothing was done.
    pub async fn raise_share(
        &self,
        worker: Uuid,
        host: &str,
        want: Want,
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
            .execute(
                RAISE,
                &[
                    &worker,
                    &host,
                    &share,
                    &int(want.calls),
                    &millis(want.call_timeout),
                ],
            )
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
        let kept: Vec<&str> = abandoned.iter().map(|(host, _)| host.as_str()).collect();
        let calls: Vec<i32> = abandoned.iter().map(|(_, calls)| int(*calls)).collect();
        let connection = self.connection().await?;
        if !abandoned.is_empty() {
            connection.execute(KEEP, &[&worker, &kept, &calls]).await?;
        }
        connection.execute(LEAVE, &[&worker, &kept]).await.map(drop)
    }
}

fn read(row: &Row) -> Result<HostShares, LedgerError> {
    let count = |index| {
        let count = row.try_get::<_, i64>(index)?;
        Ok::<u32, LedgerError>(u32::try_from(count).unwrap_or(u32::MAX))
    };
    let wants = row.try_get::<_, Vec<i32>>(1)?;
    Ok(HostShares {
        host: row.try_get(0)?,
        wants: wants.into_iter().map(i32::unsigned_abs).collect(),
        before: usize::try_from(row.try_get::<_, i64>(2)?).unwrap_or(0),
        taken: count(3)?,
        silent: count(4)?,
        mine: recorded(row)?,
    })
}

fn recorded(row: &Row) -> Result<Option<RecordedShare>, LedgerError> {
    let share: Option<i32> = row.try_get(5)?;
    let heartbeat_at: Option<Timestamp> = row.try_get(6)?;
    Ok(share
        .zip(heartbeat_at)
        .map(|(share, heartbeat_at)| RecordedShare {
            share: share.unsigned_abs(),
            heartbeat_at,
        }))
}

fn int(share: u32) -> i32 {
    i32::try_from(share).unwrap_or(i32::MAX)
}
