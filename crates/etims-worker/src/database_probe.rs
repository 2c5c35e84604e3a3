//! How this worker probes its database. It must take writes, have the expected schema, and match
//! our key.

use std::sync::atomic::{AtomicBool, Ordering};

use risiti_ledger::{KeyCheck, Ledger, LedgerError, Vault};
use risiti_service::{BadSetting, DatabaseArgs, DatabaseProblem};

/// Schema and key are checked until they were right once. After that only writes are checked, and
/// the key when a lane doubts it.
pub(crate) struct DatabaseProbe<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) vault: &'a Vault,
    pub(crate) key_doubted: &'a AtomicBool,
    pub(crate) key_proven: bool,
}

impl DatabaseProbe<'_> {
    pub(crate) async fn run(&mut self) -> Result<(), DatabaseProblem> {
        match self.check().await {
            // A worker with a wrong key would halt every lane.
            Ok(KeyCheck::Wrong) => Err(DatabaseProblem::Setting(BadSetting::new(
                "--credentials-key (RISITI_CREDENTIALS_KEY)",
                "does not open the secrets in this database",
            ))),
            Ok(_) => Ok(()),
            Err(error @ LedgerError::Schema(_)) => Err(DatabaseProblem::Schema(error.to_string())),
            Err(error @ LedgerError::TransactionPooler) => {
                Err(DatabaseProblem::Setting(DatabaseArgs::bad_url(error)))
            }
            Err(error) => Err(DatabaseProblem::Unavailable(error.to_string())),
        }
    }

    async fn check(&mut self) -> Result<KeyCheck, LedgerError> {
        self.ledger.check_writable().await?;
        let doubted = self.key_doubted.swap(false, Ordering::Relaxed);
        if self.key_proven && !doubted {
            return Ok(KeyCheck::Right);
        }
        self.ledger.check_schema().await?;
        let check = self.ledger.prove_key(self.vault).await?;
        self.key_proven = check == KeyCheck::Right;
        Ok(check)
    }
}
