//! The proof that the database stores rows, and not only reads them.

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    PROBE_WRITES = "SELECT probe_writes()";
}

impl Ledger {
    /// Commits a row and writes a temporary file, as `V11__write_probe.sql` defines it. On a full
    /// disk this fails, although reads go on, and so do updates that need no new block.
    pub async fn check_stores_rows(&self) -> Result<(), LedgerError> {
        self.connection()
            .await?
            .execute(PROBE_WRITES, &[])
            .await
            .map(drop)
    }
}
