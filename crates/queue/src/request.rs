//! Requests to the broker. Each has a bound, because a channel or connection that breaks at the
//! wrong moment may never answer.

use std::time::Duration;

use tokio::time::timeout;

use crate::BrokerError;

/// How long the broker may take to answer one request.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits for the answer to a request. `what` names it in the error.
pub(crate) async fn answered<T>(
    what: &'static str,
    request: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BrokerError> {
    timeout(REQUEST_TIMEOUT, request)
        .await
        .map_err(|_| BrokerError::Timeout)?
        .map_err(|error| BrokerError::Request {
            what,
            source: error.into(),
        })
}
