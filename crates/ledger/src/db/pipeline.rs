//! Several statements in one round trip.

use futures_util::future::join_all;

use crate::db::error::LedgerError;

/// Statements that are sent before the first answer is awaited.
pub(crate) const PIPELINE: usize = 25;

/// Runs statements of one transaction side by side and returns their results in order.
///
/// When several fail, the error returned is the one that tells why. Whatever follows a failed
/// statement in a transaction fails with 25P02, which tells nothing.
pub(crate) async fn pipelined<T>(
    work: impl Iterator<Item = impl Future<Output = Result<T, LedgerError>>>,
) -> Result<Vec<T>, LedgerError> {
    let mut done = Vec::new();
    let mut failed: Option<LedgerError> = None;

    for result in join_all(work).await {
        match result {
            Ok(value) => done.push(value),
            Err(error) if failed.as_ref().is_none_or(follows_another) => failed = Some(error),
            Err(_) => {}
        }
    }
    failed.map_or(Ok(done), Err)
}

fn follows_another(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Refused(refusal) if refusal.code == "25P02")
}
