//! The bodies of requests to KRA.

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::retention::prune::{BodyAges, BodyBatch};
use crate::retention::{count_bodies, remove_bodies};

/// Old enough by the lower of two ages. `$3` is the age of requests that KRA accepted, and `$2` of
/// all others.
macro_rules! old {
    () => {
        "b.sent_at < now() - least($2::bigint, $3::bigint) * interval '1 millisecond'"
    };
}
macro_rules! closed {
    () => {
        "b.sent_at < now() - interval '1 millisecond' * CASE
                WHEN submission_is_filed(b.invoice_id, b.invoice_no, b.outcome) THEN $3::bigint ELSE $2::bigint END
              AND submission_is_closed(b.invoice_id)"
    };
}

statements! {
    COUNT = count_bodies!("submissions", old!(), closed!());
    REMOVE = remove_bodies!("submissions", old!(), closed!());
}

impl Ledger {
    pub(crate) async fn prune_submissions(
        &self,
        after: i64,
        ages: &BodyAges,
        remove: bool,
    ) -> Result<BodyBatch<i64>, LedgerError> {
        let statement = if remove { REMOVE } else { COUNT };
        let connection = self.connection().await?;
        let row = connection
            .query_one(statement, &[&after, &ages.others_ms(), &ages.filed_ms()])
            .await?;
        BodyBatch::of(&row)
    }
}
