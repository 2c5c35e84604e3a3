//! A walk through the tables with bodies, in batches that are small and safe to repeat.
//!
//! Each batch is a transaction of its own. A walk that is killed has removed what its batches
//! removed, and the next one goes on from the first body that is left.

use std::ops::AddAssign;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Json};
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::{millis, statements};

statements! {
    OPEN = "
        INSERT INTO operator_actions (id, operator, command, reason, filter, changes)
        VALUES ($1, $2, 'prune', $3, $4, jsonb_build_object('bodies', jsonb_build_array('kept', 'removed')))";
    CLOSE = "UPDATE operator_actions SET matched = $2, done = $2, skipped = 0, failed = 0, ended_at = now() WHERE id = $1";
}

/// No body is removed earlier. The database has the same bound (`body_age_min`).
pub const BODY_AGE_MIN: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// How old a body must be to be removed.
#[derive(Clone, Copy, Debug)]
pub struct BodyAges {
    /// The age of a request that KRA accepted, which is a tax record.
    pub filed: Duration,
    /// The age of all other bodies.
    pub others: Duration,
}

impl BodyAges {
    pub(crate) fn filed_ms(&self) -> i64 {
        millis(self.filed.max(BODY_AGE_MIN))
    }

    pub(crate) fn others_ms(&self) -> i64 {
        millis(self.others.max(BODY_AGE_MIN))
    }
}

/// Bodies and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyCount {
    pub bodies: u64,
    pub bytes: u64,
}

impl AddAssign for BodyCount {
    fn add_assign(&mut self, other: Self) {
        self.bodies += other.bodies;
        self.bytes += other.bytes;
    }
}

/// The tables that have bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyTable {
    Events,
    Submissions,
    DeadLetters,
}

impl BodyTable {
    pub const ALL: [Self; 3] = [Self::Events, Self::Submissions, Self::DeadLetters];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Submissions => "submissions",
            Self::DeadLetters => "dead_letters",
        }
    }
}

/// What one batch removed or counted, and where the next one begins. `None` is the end.
pub(crate) struct BodyBatch<Place> {
    pub(crate) next: Option<Place>,
    pub(crate) count: BodyCount,
}

impl<Place: for<'a> FromSql<'a>> BodyBatch<Place> {
    pub(crate) fn of(row: &Row) -> Result<Self, LedgerError> {
        let count = BodyCount {
            bodies: row.try_get::<_, i64>(1)?.unsigned_abs(),
            bytes: row.try_get::<_, i64>(2)?.unsigned_abs(),
        };
        Ok(Self {
            next: row.try_get(0)?,
            count,
        })
    }
}

/// Where a walk through one table stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Event(Uuid),
    Submission(i64),
    DeadLetter(Timestamp, Uuid),
}

/// A walk through one table, batch by batch.
#[derive(Debug)]
pub struct PruneWalk {
    place: Option<Place>,
    ages: BodyAges,
    remove: bool,
}

impl PruneWalk {
    /// A walk that removes the bodies it finds.
    #[must_use]
    pub fn removing(table: BodyTable, ages: BodyAges) -> Self {
        Self::new(table, ages, true)
    }

    /// A walk that only counts them.
    #[must_use]
    pub fn counting(table: BodyTable, ages: BodyAges) -> Self {
        Self::new(table, ages, false)
    }

    fn new(table: BodyTable, ages: BodyAges, remove: bool) -> Self {
        let place = match table {
            BodyTable::Events => Place::Event(Uuid::nil()),
            BodyTable::Submissions => Place::Submission(0),
            BodyTable::DeadLetters => Place::DeadLetter(Timestamp::UNIX_EPOCH, Uuid::nil()),
        };
        Self {
            place: Some(place),
            ages,
            remove,
        }
    }
}

impl Ledger {
    /// Does the next batch of a walk. `None` once it is through the table.
    pub async fn prune_next(&self, walk: &mut PruneWalk) -> Result<Option<BodyCount>, LedgerError> {
        let (ages, remove) = (&walk.ages, walk.remove);
        let (next, count) = match walk.place {
            None => return Ok(None),
            Some(Place::Event(after)) => {
                let batch = self.prune_events(after, ages, remove).await?;
                (batch.next.map(Place::Event), batch.count)
            }
            Some(Place::Submission(after)) => {
                let batch = self.prune_submissions(after, ages, remove).await?;
                (batch.next.map(Place::Submission), batch.count)
            }
            Some(Place::DeadLetter(at, id)) => {
                let batch = self.prune_dead_letters((at, id), ages, remove).await?;
                let next = batch.next.map(|(at, id)| Place::DeadLetter(at, id));
                (next, batch.count)
            }
        };
        walk.place = next;
        Ok(Some(count))
    }

    /// Writes down who prunes, why and up to which ages. Returns the row for
    /// [`Ledger::end_prune`].
    pub async fn begin_prune(
        &self,
        operator: &str,
        reason: &str,
        ages: &BodyAges,
    ) -> Result<Uuid, LedgerError> {
        let id = Uuid::now_v7();
        let days = |age: Duration| age.as_secs() / (24 * 60 * 60);
        let filter = serde_json::json!({
            "older_than_days": days(ages.others),
            "filed_older_than_days": days(ages.filed),
        });
        self.connection()
            .await?
            .execute(OPEN, &[&id, &operator, &reason, &Json(filter)])
            .await?;
        Ok(id)
    }

    /// Writes down that a run has ended, and how many bodies it removed.
    pub async fn end_prune(&self, run: Uuid, bodies: u64) -> Result<(), LedgerError> {
        let bodies = i64::try_from(bodies).unwrap_or(i64::MAX);
        let connection = self.connection().await?;
        connection.execute(CLOSE, &[&run, &bodies]).await.map(drop)
    }
}
