//! The bodies and headers of unreadable and poison messages whose dead letter is solved.

use jiff::Timestamp;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::retention::prune::{BodyAges, BodyBatch};
use crate::retention::{looked_through_at_once, removed_at_once};

/// The rows after `$1`, `$2` in the order of their time of death, which is before they were solved.
macro_rules! page {
    () => {
        concat!(
            "
        WITH page AS (
            SELECT d.id, d.dead_at FROM dead_letters d
            WHERE (d.dead_at, d.id) > ($1, $2) AND d.dead_at < now() - $3::bigint * interval '1 millisecond'
            ORDER BY d.dead_at, d.id LIMIT ",
            looked_through_at_once!(),
            "
        ), edge AS (SELECT id, dead_at FROM page ORDER BY dead_at DESC, id DESC LIMIT 1)
        "
        )
    };
}
macro_rules! removable {
    () => {
        "
            SELECT d.id, d.dead_at, octet_length(d.body) AS bytes FROM dead_letters d
            WHERE (d.dead_at, d.id) > ($1, $2)
              AND (d.dead_at, d.id) <= ((SELECT dead_at FROM edge), (SELECT id FROM edge))
              AND d.body IS NOT NULL AND d.body_sha256 IS NOT NULL
              AND d.solved_at < now() - $3::bigint * interval '1 millisecond'"
    };
}

statements! {
    COUNT = concat!(page!(), ", chosen AS (", removable!(), ")
        SELECT (SELECT id FROM edge), count(*), coalesce(sum(bytes), 0)::bigint,
               (SELECT dead_at FROM edge) FROM chosen");
    REMOVE = concat!(page!(), ", chosen AS (", removable!(), "
            ORDER BY d.dead_at, d.id LIMIT ", removed_at_once!(), " FOR NO KEY UPDATE SKIP LOCKED
        ), last AS (
            SELECT id, dead_at FROM chosen WHERE (SELECT count(*) FROM chosen) = ", removed_at_once!(), "
            UNION ALL SELECT id, dead_at FROM edge WHERE (SELECT count(*) FROM chosen) < ", removed_at_once!(), "
            ORDER BY dead_at DESC, id DESC LIMIT 1
        ), removed AS (
            UPDATE dead_letters d SET body = NULL, headers = NULL, body_removed_at = now()
            FROM chosen c WHERE d.id = c.id RETURNING c.bytes
        )
        SELECT (SELECT id FROM last), count(*), coalesce(sum(bytes), 0)::bigint,
               (SELECT dead_at FROM last) FROM removed");
}

impl Ledger {
    pub(crate) async fn prune_dead_letters(
        &self,
        after: (Timestamp, Uuid),
        ages: &BodyAges,
        remove: bool,
    ) -> Result<BodyBatch<(Timestamp, Uuid)>, LedgerError> {
        let statement = if remove { REMOVE } else { COUNT };
        let connection = self.connection().await?;
        let row = connection
            .query_one(statement, &[&after.0, &after.1, &ages.others_ms()])
            .await?;
        let batch = BodyBatch::<Uuid>::of(&row)?;
        let dead_at: Option<Timestamp> = row.try_get(3)?;
        Ok(BodyBatch {
            next: dead_at.zip(batch.next),
            count: batch.count,
        })
    }
}
