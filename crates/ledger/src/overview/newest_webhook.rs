//! What to say when nothing is found: a payment may still be on its way.

use jiff::Timestamp;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// Ids of events are made in the order of time.
    NEWEST = "SELECT e.received_at FROM events e ORDER BY e.id DESC LIMIT 1";
}

impl Ledger {
    /// Says how new the newest recorded webhook is, and where a later one may wait.
    pub async fn newest_webhook_hint(&self) -> Result<String, LedgerError> {
        let row = self.connection().await?.query_opt(NEWEST, &[]).await?;
        let newest = row
            .map(|row| row.try_get::<_, Timestamp>(0))
            .transpose()?
            .map_or_else(|| "never".to_owned(), |at| format!("{at:.0}"));
        Ok(format!(
            "The newest webhook that is recorded came {newest}; what came later may wait in a queue \
             or a spool: risiti-admin status"
        ))
    }
}
