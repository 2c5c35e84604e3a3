//! One HTTP client for all commands.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, redirect};

/// Builds a client with a time limit for each request. Like a gateway it follows no redirect.
pub(crate) fn client(timeout: Duration) -> anyhow::Result<Client> {
    Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(128)
        .build()
        .context("failed to build an HTTP client")
}
