//! The disk, while the broker is away: opened at the start, drained in the background.

mod drain;
pub(crate) mod message;
pub(crate) mod metrics;

use anyhow::Context as _;
use risiti_service::BadSetting;
use risiti_spool::{Condition, OpenError, Spool};

use crate::settings::Settings;

pub(crate) use drain::Drainer;

const DATA_DIR_SETTING: &str = "--data-dir (RISITI_DATA_DIR)";

/// `None`: the operator wants none.
pub(crate) fn open(settings: &Settings) -> anyhow::Result<Option<Spool>> {
    if settings.spool_limit == 0 {
        return Ok(None);
    }
    match Spool::open(&settings.data_dir, settings.spool_limit) {
        Ok(spool) => Ok(Some(spool)),
        Err(error @ OpenError::Locked(_)) => Err(BadSetting::new(
            DATA_DIR_SETTING,
            format!("{error}: each replica needs a directory of its own"),
        )
        .into()),
        Err(error) => Err(error).context("failed to open the spool"),
    }
}

/// Ends only when the spool on disk is of a newer release: to serve beside it would leave what it holds undelivered.
pub(crate) async fn foreign(spool: Option<Spool>) -> BadSetting {
    if let Some(spool) = spool
        && let Ok(status) = spool
            .status()
            .wait_for(|status| matches!(status.condition, Condition::Foreign(_)))
            .await
        && let Condition::Foreign(why) = &status.condition
    {
        return BadSetting::new(
            DATA_DIR_SETTING,
            format!("the spool there cannot be read: {why}"),
        );
    }
    std::future::pending().await
}
