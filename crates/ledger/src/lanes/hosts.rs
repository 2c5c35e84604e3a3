//! What all workers share about a KRA host: its breaker, and whether it accepts sales
//! (protocol D12, D13).

use std::time::Duration;

use jiff::Timestamp;
use risiti_domain::{DeviceId, InvoiceId};
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{millis, statements};
use crate::lanes::failure_run::FailureRun;

statements! {
    STATES = "
        SELECT host, breaker, greatest(0, extract(epoch FROM retry_at - clock_timestamp()) * 1000)::bigint,
               retry_step, trial_until > clock_timestamp(), failures, failing_lane
        FROM hosts ORDER BY host";
    OPEN = "
        UPDATE hosts SET breaker = 'open', opened_at = coalesce(opened_at, now()), retry_step = retry_step + 1,
            retry_at = clock_timestamp() + $2::bigint * interval '1 millisecond', trial_by = NULL, trial_until = NULL
        WHERE host = $1 AND (breaker = 'closed' OR (breaker = 'trying' AND trial_by = $3))";
    TRY = "
        UPDATE hosts SET breaker = 'trying', trial_by = $2,
            trial_until = clock_timestamp() + $3::bigint * interval '1 millisecond'
        WHERE host = $1 AND ((breaker = 'open' AND retry_at <= clock_timestamp())
            OR (breaker = 'trying' AND (trial_until <= clock_timestamp() OR trial_by = $2)))";
    /// All lanes of the host were waiting for this. They come back at a hundred a second, so that
    /// the host does not get all of them at once (protocol D14).
    CLOSE = "
        WITH closed AS (
            UPDATE hosts SET breaker = 'closed', opened_at = NULL, retry_at = NULL, retry_step = 0,
                trial_by = NULL, trial_until = NULL, failures = 0, failing_lane = NULL
            WHERE host = $1 AND breaker = 'trying' AND trial_by = $2 RETURNING host
        ), waiting AS (
            SELECT l.device_id, count(*) OVER () AS lanes FROM lanes l JOIN closed USING (host)
            WHERE l.device_id <> $3 AND l.halted_at IS NULL AND lane_has_work(l.device_id)
        ), locked AS (
            SELECT l.device_id, w.lanes FROM lanes l JOIN waiting w USING (device_id) FOR UPDATE OF l SKIP LOCKED
        ), spread AS (
            UPDATE lanes l SET retry_at = now() + random() * least(locked.lanes, 6000) * interval '10 milliseconds'
            FROM locked WHERE l.device_id = locked.device_id
        )
        SELECT count(*) FROM closed";
    /// Adds news of one worker, by the rule of `FailureRun::then`. Rows are locked in one order, so
    /// that workers with news of several hosts wait for each other in that order.
    NOTE = "
        WITH news AS (
            SELECT * FROM unnest($1::text[], $2::bool[], $3::int[], $4::uuid[]) AS n (host, worked, failures, lane)
        ), locked AS (
            SELECT h.host FROM hosts h JOIN news USING (host) ORDER BY h.host FOR NO KEY UPDATE OF h
        )
        UPDATE hosts h SET last_answer_at = CASE WHEN n.worked THEN now() ELSE h.last_answer_at END,
            failures = CASE WHEN h.breaker <> 'closed' THEN h.failures
                WHEN n.worked THEN n.failures ELSE least(h.failures + n.failures, 1000000) END,
            failing_lane = CASE WHEN h.breaker <> 'closed' THEN h.failing_lane
                WHEN n.worked OR h.failures = 0 THEN n.lane
                WHEN n.failures = 0 OR h.failing_lane = n.lane THEN h.failing_lane END
        FROM news n JOIN locked USING (host) WHERE h.host = n.host";
    PROOF = "
        SELECT EXISTS (SELECT FROM lanes l JOIN submissions s ON s.device_id = l.device_id
                       WHERE l.host = $1 AND s.outcome = 'ok' AND s.sent_at > $2 AND s.invoice_id <> $3),
               EXISTS (SELECT FROM hosts WHERE host = $1 AND last_answer_at > now() - interval '5 minutes')";
}

/// More failures than any setting asks for before a breaker opens.
const FAILURES_MAX: i32 = 1_000_000;

/// A host's breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    Closed,
    /// One worker makes the trial call.
    Trying,
    Open,
}

/// A host as its row showed it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState {
    pub host: String,
    pub breaker: Breaker,
    /// The time until a trial may be made.
    pub retry_in: Duration,
    /// How often the breaker opened in a row.
    pub retry_step: u32,
    /// What the calls of all workers met, as far as they have told it.
    pub failures: FailureRun,
}

/// What the host did for others (protocol D9, D12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostProof {
    /// It accepted a sale of another invoice since the mark.
    pub took_another: bool,
    /// It answered somebody within the last five minutes.
    pub answers: bool,
}

/// What came of a worker's wish to change a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerChange {
    Made,
    /// The breaker is in another state, or its trial is another worker's. Nothing was changed.
    NotDue,
}

impl BreakerChange {
    fn of_rows(rows: u64) -> Self {
        if rows == 1 { Self::Made } else { Self::NotDue }
    }
}

impl Ledger {
    /// Reads every host with its breaker. A trial whose time is over counts as an open breaker.
    pub async fn host_states(&self) -> Result<Vec<HostState>, LedgerError> {
        let rows = self.connection().await?.query(STATES, &[]).await?;
        rows.iter()
            .map(|row| {
                let host: String = row.try_get(0)?;
                let trial_runs: Option<bool> = row.try_get(4)?;
                let breaker = match row.try_get::<_, &str>(1)? {
                    "closed" => Breaker::Closed,
                    "trying" if trial_runs == Some(true) => Breaker::Trying,
                    _ => Breaker::Open,
                };
                let retry_in = row
                    .try_get::<_, Option<i64>>(2)?
                    .unwrap_or(0)
                    .unsigned_abs();
                let retry_step = row.try_get::<_, i32>(3)?.unsigned_abs();
                let failures = FailureRun {
                    worked: false,
                    failures: row.try_get::<_, i32>(5)?.unsigned_abs(),
                    only_lane: row.try_get::<_, Option<Uuid>>(6)?.map(DeviceId::from_uuid),
                };
                Ok(HostState {
                    host,
                    breaker,
                    retry_in: Duration::from_millis(retry_in),
                    retry_step,
                    failures,
                })
            })
            .collect()
    }

    /// Opens a closed breaker, or opens it again after this worker's trial failed.
    pub async fn open_breaker(
        &self,
        host: &str,
        worker: Uuid,
        pause: Duration,
    ) -> Result<BreakerChange, LedgerError> {
        let connection = self.connection().await?;
        let hosts = connection
            .execute(OPEN, &[&host, &millis(pause), &worker])
            .await?;
        Ok(BreakerChange::of_rows(hosts))
    }

    /// Lets one worker make the trial call. Its right to it ends after `limit`.
    pub async fn begin_trial(
        &self,
        host: &str,
        worker: Uuid,
        limit: Duration,
    ) -> Result<BreakerChange, LedgerError> {
        let connection = self.connection().await?;
        let hosts = connection
            .execute(TRY, &[&host, &worker, &millis(limit)])
            .await?;
        Ok(BreakerChange::of_rows(hosts))
    }

    /// Closes the breaker after this worker's trial succeeded. `lane` goes on at once, and the
    /// host's other lanes come back spread out.
    pub async fn close_breaker(
        &self,
        host: &str,
        worker: Uuid,
        lane: DeviceId,
    ) -> Result<BreakerChange, LedgerError> {
        let connection = self.connection().await?;
        let row = connection
            .query_one(CLOSE, &[&host, &worker, &lane.uuid()])
            .await?;
        let closed: i64 = row.try_get(0)?;
        Ok(BreakerChange::of_rows(closed.unsigned_abs()))
    }

    /// Adds what this worker's calls met since it told last. While a breaker is not closed, failures
    /// of calls that were under way when it opened are not counted.
    pub async fn note_failures(&self, news: &[(String, FailureRun)]) -> Result<(), LedgerError> {
        let hosts: Vec<&str> = news.iter().map(|(host, _)| host.as_str()).collect();
        let worked: Vec<bool> = news.iter().map(|(_, run)| run.worked).collect();
        let failures: Vec<i32> = news
            .iter()
            .map(|(_, run)| {
                i32::try_from(run.failures)
                    .unwrap_or(i32::MAX)
                    .min(FAILURES_MAX)
            })
            .collect();
        let lanes: Vec<Option<Uuid>> = news
            .iter()
            .map(|(_, run)| run.only_lane.map(DeviceId::uuid))
            .collect();
        self.connection()
            .await?
            .execute(NOTE, &[&hosts, &worked, &failures, &lanes])
            .await
            .map(drop)
    }

    /// Reads what the host did for invoices other than this one.
    pub async fn host_proof(
        &self,
        host: &str,
        mark: Timestamp,
        invoice: InvoiceId,
    ) -> Result<HostProof, LedgerError> {
        let connection = self.connection().await?;
        let row = connection
            .query_one(PROOF, &[&host, &mark, &invoice.uuid()])
            .await?;
        Ok(HostProof {
            took_another: row.try_get(0)?,
            answers: row.try_get(1)?,
        })
    }
}
