//! The heartbeat of this worker: its shares of the caps, and what all workers know of the hosts
//! (protocol D5, D13).

use std::cmp::Ordering;
use std::time::{Duration, Instant};

use risiti_ledger::{HostShares, LedgerError, LowerShare, Want};
use tokio_util::sync::CancellationToken;

use crate::host::Host;
use crate::hosts::Hosts;

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// The least time between two heartbeats, of which the second is early because a lane waits.
const EARLY_HEARTBEAT: Duration = Duration::from_millis(100);

impl Hosts {
    /// Sends a heartbeat and reads the breakers, every second until the end.
    pub(crate) async fn keep(&self, end: &CancellationToken) {
        let mut failing = false;
        while !end.is_cancelled() {
            let beat = self.beat().await;
            if let Err(error) = &beat
                && !failing
            {
                tracing::warn!(%error, "heartbeat failed, nothing is sent until one succeeds");
            }
            failing = beat.is_err();
            tokio::select! {
                () = tokio::time::sleep(HEARTBEAT_INTERVAL) => {}
                () = self.early_heartbeat() => {}
                () = end.cancelled() => {}
            }
        }
        let abandoned: Vec<_> = self
            .all()
            .iter()
            .map(|host| (host.name.clone(), host.abandoned()))
            .filter(|(_, calls)| *calls > 0)
            .collect();
        if let Err(error) = self.ledger.leave(self.worker, &abandoned).await {
            tracing::warn!(%error, "share of the cap not given back, it expires");
        }
    }

    async fn early_heartbeat(&self) {
        self.lacking.notified().await;
        tokio::time::sleep(EARLY_HEARTBEAT).await;
    }

    async fn beat(&self) -> Result<(), LedgerError> {
        self.renew_shares().await?;
        self.tell_news().await?;

        for state in self.ledger.host_states().await? {
            let host = self.host(&state.host);
            host.observe(&state);
            self.metrics.breaker(&state.host, state.breaker);
            if let Some(step) = host.due_step(self.rules.breaker_failures) {
                self.open(&host, step).await?;
            }
        }
        Ok(())
    }

    /// Adds what this worker's calls met to the rows of their hosts. It is one write a heartbeat,
    /// however many calls there were.
    async fn tell_news(&self) -> Result<(), LedgerError> {
        let news: Vec<_> = self
            .all()
            .iter()
            .filter_map(|host| Some((host.name.clone(), host.take_news()?)))
            .collect();
        if news.is_empty() {
            return Ok(());
        }
        self.ledger.note_failures(&news).await
    }

    /// Renews the heartbeat and settles the share of each host (protocol D5). Only a share that can
    /// grow takes its host's lock.
    async fn renew_shares(&self) -> Result<(), LedgerError> {
        let sent_at = Instant::now();
        let mut lower = Vec::new();
        let mut raise = Vec::new();
        let wants = self.wants();
        for others in self.ledger.renew_shares(self.worker, &wants).await? {
            let host = self.host(&others.host);
            let (share, held) = host.settle(&others, self.rules.cap);
            match others.mine {
                Some(mine) => {
                    host.confirm(share.min(mine.share), sent_at);
                    match held.cmp(&mine.share) {
                        Ordering::Less => lower.push(LowerShare {
                            host: others.host,
                            share: held,
                            heartbeat_at: mine.heartbeat_at,
                        }),
                        Ordering::Equal => {}
                        Ordering::Greater => raise.push(host),
                    }
                }
                None => {
                    host.lose_share();
                    raise.push(host);
                }
            }
        }
        if !lower.is_empty() {
            self.ledger.lower_shares(self.worker, &lower).await?;
        }

        for host in raise {
            self.raise_share(&host).await?;
        }
        let shares: Vec<_> = self
            .all()
            .iter()
            .map(|host| (host.name.clone(), host.share()))
            .collect();
        self.places.follow(&shares);
        Ok(())
    }

    /// How many calls this worker could make to each host. Where its places were all taken, that
    /// may be any number.
    fn wants(&self) -> Vec<(String, u32)> {
        let wants = self.places.lanes_since().into_iter();
        wants
            .map(|(name, lanes)| {
                let lanes = lanes.unwrap_or(self.rules.cap).min(self.rules.cap);
                let want = self.host(&name).want(lanes);
                (name, want)
            })
            .collect()
    }

    async fn raise_share(&self, host: &Host) -> Result<(), LedgerError> {
        let sent_at = Instant::now();
        let mut share = 0;
        let settle = |others: &HostShares| {
            let (settled, held) = host.settle(others, self.rules.cap);
            share = settled;
            held
        };
        let want = Want {
            calls: host.wanted(),
            call_timeout: self.rules.call_timeout,
        };
        let raised = self
            .ledger
            .raise_share(self.worker, &host.name, want, settle)
            .await?;
        if raised {
            host.confirm(share, sent_at);
        }
        Ok(())
    }
}
