//! Messages that were delivered too often, one at a time (protocol C4).

use risiti_ledger::{Ledger, LedgerError};
use risiti_queue::{Consumer, Delivery};
use risiti_service::DatabaseHealth;
use tokio_util::sync::CancellationToken;

use crate::aside::Pile;
use crate::batches::acknowledge;
use crate::patience::Patience;
use crate::read::{follow_id, poison};
use crate::recorder::{GivenUp, Recorder};
use crate::tokens::Waker;

/// Two tries may end with their worker; the third is not made.
const TRIES_MAX: u32 = 3;

pub(crate) struct Suspects<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) database: &'a DatabaseHealth,
    pub(crate) recorder: &'a Recorder,
    pub(crate) waker: &'a Waker,
    pub(crate) pile: &'a Pile,
    pub(crate) stop: &'a CancellationToken,
}

impl Suspects<'_> {
    /// Until shutdown. `consumer` has a prefetch of one.
    pub(crate) async fn run(&self, mut consumer: Consumer) {
        consumer.pause();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.database.wait_available() => consumer.resume(),
            }
            let delivery = tokio::select! {
                () = self.stop.cancelled() => break,
                delivery = consumer.next() => delivery,
            };
            let Some(delivery) = delivery else { break };
            if let Err(GivenUp) = self.handle(delivery).await {
                consumer.pause();
                self.database.report_lost();
            }
        }
        consumer.cancel();
    }

    async fn handle(&self, delivery: Delivery) -> Result<(), GivenUp> {
        let id = follow_id(&delivery.message);
        let tries = self.patiently(|| self.ledger.begin_suspect_try(id)).await?;
        tracing::info!(event_id = %id, tries, "trying a suspect alone");
        if tries >= TRIES_MAX {
            let why = format!("its worker did not survive {} tries", TRIES_MAX - 1);
            self.pile
                .put(&poison(&delivery.message, why), &mut self.patience())
                .await?;
        } else if let Err(GivenUp) = self.record(&delivery).await {
            // We are alive: the trouble was not the message's, and this try does not count.
            if let Err(error) = self.ledger.forget_suspect_try(id).await {
                tracing::warn!(event_id = %id, "failed to take back a try: {error}");
            }
            return Err(GivenUp);
        }
        self.patiently(|| self.ledger.close_suspect(id)).await?;
        acknowledge(vec![delivery]).await;
        Ok(())
    }

    async fn record(&self, delivery: &Delivery) -> Result<(), GivenUp> {
        let mut patience = self.patience();
        let outcome = self
            .recorder
            .record(&[&delivery.message], &mut patience)
            .await?;
        self.waker.wake(&outcome.recorded).await;
        for letter in &outcome.aside {
            self.pile.put(letter, &mut patience).await?;
        }
        Ok(())
    }

    fn patience(&self) -> Patience {
        Patience::new(self.stop.clone())
    }

    async fn patiently<T, W>(&self, work: impl Fn() -> W) -> Result<T, GivenUp>
    where
        W: Future<Output = Result<T, LedgerError>>,
    {
        let mut patience = self.patience();
        loop {
            match work().await {
                Ok(done) => return Ok(done),
                Err(error) => tracing::warn!("failed to keep a suspect's book: {error}"),
            }
            if !patience.again().await {
                return Err(GivenUp);
            }
        }
    }
}
