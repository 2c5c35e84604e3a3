//! The task that owns one publishing channel.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::load::ChannelLoad;
use super::window::{Settled, Window};
use super::{PublishRequest, WINDOW};
use crate::closing::{close_channel, finish};
use crate::connection::{ConnectionState, OpenConnection};
use crate::request::answered;
use crate::{BrokerError, PublishError, Topology};

/// How long a publish may stay unconfirmed on a connection that lives. Its caller has given up long
/// before. A quorum queue that has lost its majority confirms nothing, and its connection stays.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(60);
/// Pause after a channel that could not be opened.
const OPEN_PAUSE: Duration = Duration::from_millis(200);

/// The broker's reply code for an exchange that does not exist.
const NOT_FOUND: u16 = 404;

pub(super) struct ChannelTask {
    pub(super) topology: Topology,
    pub(super) connection: watch::Receiver<ConnectionState>,
    pub(super) redeclare: Arc<Notify>,
    pub(super) cancel: CancellationToken,
    pub(super) requests: mpsc::Receiver<PublishRequest>,
    pub(super) load: Arc<ChannelLoad>,
}

/// Why a channel is no longer served.
#[derive(PartialEq, Eq)]
enum End {
    /// The channel or its connection is gone. The next one may work.
    Reopen,
    /// No more requests will come.
    Closed,
}

impl ChannelTask {
    /// Serves requests until the last publisher is dropped or the broker is closed.
    pub(super) async fn run(mut self) {
        self.serve_channels().await;
        self.requests.close();
        while let Some(request) = self.requests.recv().await {
            refuse(request, PublishError::Down);
        }
    }

    async fn serve_channels(&mut self) {
        let cancel = self.cancel.clone();
        while let Some(Some(connection)) = cancel.run_until_cancelled(self.wait_connected()).await {
            let opened = tokio::select! {
                biased;
                opened = finish(&cancel, open_channel(&connection)) => opened,
                // A request to a connection that breaks at this moment may stay unanswered.
                () = self.lost(&connection) => continue,
            };
            match opened {
                Some(Ok(channel)) => {
                    let serving = self.serve(&connection, &channel);
                    let end = cancel.run_until_cancelled(serving).await;
                    // Without this, confirms of the given-up window would reach the next one.
                    close_channel(&channel, "reopening").await;
                    if end != Some(End::Reopen) {
                        return;
                    }
                }
                Some(Err(error)) => {
                    tracing::warn!("failed to open a channel for publishing: {error}");
                    cancel.run_until_cancelled(sleep(OPEN_PAUSE)).await;
                }
                None => return,
            }
        }
    }

    /// Waits for a connection that takes publishes. Requests that come meanwhile are refused, so that
    /// their callers can turn elsewhere at once.
    async fn wait_connected(&mut self) -> Option<Arc<OpenConnection>> {
        loop {
            let refusal = match &*self.connection.borrow_and_update() {
                ConnectionState::Up(open) => return Some(open.clone()),
                ConnectionState::Blocked(_) => PublishError::Blocked,
                ConnectionState::Unused | ConnectionState::Down(_) => PublishError::Down,
            };
            tokio::select! {
                changed = self.connection.changed() => changed.ok()?,
                request = self.requests.recv() => refuse(request?, refusal),
            }
        }
    }

    async fn serve(&mut self, connection: &Arc<OpenConnection>, channel: &Channel) -> End {
        let load = self.load.clone();
        let mut window = Window::new(&load);
        let mut open_to_requests = true;
        let end = loop {
            let has_place = open_to_requests && window.len() < WINDOW;
            let oldest_expires = window.oldest().map(|oldest| oldest + UNCONFIRMED_MAX);
            tokio::select! {
                // Confirms come first: they make place, and somebody waits for each.
                biased;
                confirms = window.confirmed(), if !window.is_empty() => {
                    match window.settle(confirms) {
                        Settled::GoOn => {}
                        Settled::Returned | Settled::Failed(Some(NOT_FOUND)) => {
                            self.declare_again();
                            break End::Reopen;
                        }
                        Settled::Failed(_) => break End::Reopen,
                    }
                }
                changed = self.connection.changed() => {
                    if changed.is_err() || !self.is_on(connection) {
                        break End::Reopen;
                    }
                }
                request = self.requests.recv(), if has_place => match request {
                    Some(request) => {
                        let exchange = self.topology.exchange(request.target);
                        window.start(channel, exchange, request).await;
                    }
                    None => open_to_requests = false,
                },
                () = sleep_until(oldest_expires.unwrap_or_else(far_future)), if oldest_expires.is_some() => {
                    tracing::warn!("a publish was not confirmed for {} s, reopening its channel",
                        UNCONFIRMED_MAX.as_secs());
                    window.fail_all(|_| PublishError::Timeout);
                    break End::Reopen;
                }
            }
            if !open_to_requests && window.is_empty() {
                return End::Closed;
            }
        };
        window.fail_all(|_| PublishError::Lost);
        end
    }

    /// Waits until this connection is no longer the one in use.
    async fn lost(&mut self, connection: &Arc<OpenConnection>) {
        while self.is_on(connection) && self.connection.changed().await.is_ok() {}
    }

    /// Whether this connection is still the one in use. A blocked one confirms what it had read.
    fn is_on(&mut self, connection: &Arc<OpenConnection>) -> bool {
        match &*self.connection.borrow_and_update() {
            ConnectionState::Up(open) | ConnectionState::Blocked(open) => {
                Arc::ptr_eq(open, connection)
            }
            ConnectionState::Unused | ConnectionState::Down(_) => false,
        }
    }

    fn declare_again(&self) {
        tracing::error!("no queue took a message, declaring the topology again");
        self.redeclare.notify_one();
    }
}

fn refuse(request: PublishRequest, error: PublishError) {
    let PublishRequest { reply, share, .. } = request;
    drop(share);
    reply.send(Err(error)).ok();
}

async fn open_channel(connection: &OpenConnection) -> Result<Channel, BrokerError> {
    let channel = connection.channel().await?;
    let selecting = channel.confirm_select(ConfirmSelectOptions::default());
    answered("select confirms", selecting).await?;
    Ok(channel)
}

/// Stands in for a deadline that is not used.
fn far_future() -> Instant {
    Instant::now() + UNCONFIRMED_MAX
}
