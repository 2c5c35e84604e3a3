//! Payments to a short code that was registered only after the money came. They wait flagged, and
//! count once `risiti-admin provider add` has registered the code (protocol C12).

use std::time::Duration;

use risiti_domain::{PaymentId, Provider};
use risiti_ledger::{FlagDecision, FlagOutcome, Ledger, LedgerError};
use risiti_service::DatabaseHealth;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// How often the flagged payments are looked through. Only those are read, by an index.
const INTERVAL: Duration = Duration::from_secs(2);
/// Payments taken up in a round. The next round takes the others.
const ROUND_MAX: u32 = 100;

pub(crate) struct RegisteredCodes<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) database: &'a DatabaseHealth,
    pub(crate) metrics: &'a Metrics,
    pub(crate) stop: &'a CancellationToken,
}

impl RegisteredCodes<'_> {
    /// Takes up such payments until shutdown. Any number of workers may do so at once.
    pub(crate) async fn run(&self) {
        let database_available = self.database.subscribe();
        let mut failing = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.stop.cancelled() => return,
            }
            if !*database_available.borrow() {
                continue;
            }
            let was_failing = failing;
            let outcome = self.round().await;
            failing = outcome.is_err();
            // Only a change is logged. The probe of the database tells the rest.
            if let Err(error) = outcome
                && !was_failing
            {
                tracing::warn!("failed to take up payments of registered short codes: {error}");
            }
        }
    }

    async fn round(&self) -> Result<(), LedgerError> {
        let payments = self.ledger.payments_of_registered_codes(ROUND_MAX).await?;
        for payment in payments {
            if self.stop.is_cancelled() {
                break;
            }
            self.take_up(payment).await?;
        }
        Ok(())
    }

    async fn take_up(&self, payment: PaymentId) -> Result<(), LedgerError> {
        let decision = FlagDecision::ShortCodeRegistered;
        match self.ledger.end_flag(payment, &decision).await? {
            FlagOutcome::Ended { from, to } => {
                tracing::info!(payment_id = %payment, state = %to, "short code registered, payment counts");
                if from != to {
                    self.metrics.payment_moved(Provider::Daraja, to);
                }
            }
            FlagOutcome::Overtaken => {}
            FlagOutcome::Refused(why) => {
                tracing::debug!(payment_id = %payment, why, "payment left to a person");
            }
        }
        Ok(())
    }
}
