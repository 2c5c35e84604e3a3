//! Closing in good order: first the channels, then their connection.
//!
//! lapin closes a channel that is dropped in the background. Where the connection begins to close
//! meanwhile, it takes that for an error of the connection and logs it.

use std::time::Duration;

use lapin::Channel;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long the channels of a connection may take to close. A frozen broker answers nothing.
pub(crate) const CHANNELS_CLOSE_WAIT: Duration = Duration::from_millis(500);

/// Waits for a request to the broker. Once cancelled it waits no longer than the channels may take
/// to close, because a request that is dropped leaves its channel behind.
pub(crate) async fn finish<T>(
    cancel: &CancellationToken,
    request: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        outcome = request => Some(outcome),
        () = async {
            cancel.cancelled().await;
            sleep(CHANNELS_CLOSE_WAIT).await;
        } => None,
    }
}

/// Closes a channel and waits until it is closed.
pub(crate) async fn close_channel(channel: &Channel, why: &str) {
    // A channel that is closed already needs nothing. One that the broker does not answer on is
    // closed with its connection.
    timeout(CHANNELS_CLOSE_WAIT, channel.close(200, why.into()))
        .await
        .ok();
}
