//! The bodies of recorded webhooks.

use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::retention::prune::{BodyAges, BodyBatch};
use crate::retention::{count_bodies, remove_bodies};

macro_rules! old {
    () => {
        "b.recorded_at < now() - $2::bigint * interval '1 millisecond'"
    };
}
macro_rules! closed {
    () => {
        "event_is_closed(b.id, b.payment_id, b.conflict)"
    };
}

statements! {
    COUNT = count_bodies!("events", old!(), closed!());
    REMOVE = remove_bodies!("events", old!(), closed!());
}

impl Ledger {
    pub(crate) async fn prune_events(
        &self,
        after: Uuid,
        ages: &BodyAges,
        remove: bool,
    ) -> Result<BodyBatch<Uuid>, LedgerError> {
        let statement = if remove { REMOVE } else { COUNT };
        let connection = self.connection().await?;
        let row = connection
            .query_one(statement, &[&after, &ages.others_ms()])
            .await?;
        BodyBatch::of(&row)
    }
}
