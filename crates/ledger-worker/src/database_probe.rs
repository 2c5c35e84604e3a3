//! The probe of the database. It must take writes, have the expected schema and store rows.

use risiti_ledger::{Ledger, LedgerError};
use risiti_service::{DatabaseArgs, DatabaseProblem};

pub(crate) async fn probe(ledger: &Ledger) -> Result<(), DatabaseProblem> {
    let checked = async {
        ledger.check_writable().await?;
        ledger.check_schema().await?;
        ledger.check_stores_rows().await
    };
    checked.await.map_err(|error| match error {
        LedgerError::Schema(_) => DatabaseProblem::Schema(error.to_string()),
        LedgerError::TransactionPooler => DatabaseProblem::Setting(DatabaseArgs::bad_url(error)),
        _ => DatabaseProblem::Unavailable(error.to_string()),
    })
}
