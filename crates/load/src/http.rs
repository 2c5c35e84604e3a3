//! One HTTP client for all commands.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, redirect};

/// Gives up after `patience`; follows nothing, as gateways do.
pub(crate) fn client(patience: Duration) -> anyhow::Result<Client> {
    Client::builder()
        .timeout(patience)
        .connect_timeout(patience.min(Duration::from_secs(5)))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(128)
        .build()
        .context("failed to build an HTTP client")
}
