//! The spool: opened at the start, drained in the background, used while the broker is away.

mod drain;
pub(crate) mod message;
pub(crate) mod metrics;
mod progress;

use anyhow::Context as _;
use risiti_service::BadSetting;
use risiti_spool::{Condition, OpenError, Spool};

use crate::settings::Settings;

pub(crate) use drain::Drainer;

const DATA_DIR_SETTING: &str = "--data-dir (RISITI_DATA_DIR)";

/// Opens the spool. It is `None` when the operator turned it off.
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

/// Returns only when the spool on disk is of a newer release. Serving beside it would leave its
/// webhooks undelivered.
pub(crate) async fn newer_format_found(spool: Option<Spool>) -> BadSetting {
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
