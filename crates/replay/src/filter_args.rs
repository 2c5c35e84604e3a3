//! The arguments by which a command selects dead letters, or invoices that wait.

use clap::Args;
use jiff::Timestamp;
use risiti_domain::{DeadCause, DeviceId};
use risiti_ledger::{DeadLetterFilter, DeadLetterScope, DeviceNameError, Ledger, WaitingFilter};
use risiti_service::parse_since;
use uuid::Uuid;

use crate::value_parsers;

#[derive(Args, Clone, Debug)]
pub(crate) struct FilterArgs {
    /// Only this merchant's
    #[arg(long, value_name = "SLUG")]
    merchant: Option<String>,

    /// Only of this cause: refused, exhausted, set_aside, unreadable, poison
    #[arg(long, value_name = "CAUSE")]
    cause: Option<DeadCause>,

    /// Only with this result code of KRA's
    #[arg(long, value_name = "CODE")]
    code: Option<String>,

    /// Only with this text in KRA's words or in the error, in any case
    #[arg(long, value_parser = value_parsers::short_text, value_name = "TEXT")]
    message: Option<String>,

    /// Only of this device: its id, or the slug of a merchant with one device
    #[arg(long, value_parser = value_parsers::short_text, value_name = "DEVICE")]
    device: Option<String>,

    /// Only what died since: an age (250ms, 2s, 15m, 24h) or a moment (RFC 3339)
    #[arg(long, value_parser = parse_since, value_name = "WHEN")]
    since: Option<Timestamp>,

    /// Only this dead letter; may be given several times
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<Uuid>,

    /// Those that were discarded, instead of those that wait
    #[arg(long)]
    discarded: bool,
}

impl FilterArgs {
    /// The same filter over invoices that wait.
    pub(crate) async fn waiting_filter(
        &self,
        ledger: &Ledger,
    ) -> Result<WaitingFilter, DeviceNameError> {
        Ok(WaitingFilter {
            merchant: self.merchant.clone(),
            device: self.named_device(ledger).await?,
            since: self.since,
            ids: self.ids.clone(),
        })
    }

    pub(crate) async fn filter(
        &self,
        ledger: &Ledger,
    ) -> Result<DeadLetterFilter, DeviceNameError> {
        Ok(DeadLetterFilter {
            merchant: self.merchant.clone(),
            cause: self.cause,
            code: self.code.clone(),
            message: self.message.clone(),
            device: self.named_device(ledger).await?,
            since: self.since,
            ids: self.ids.clone(),
            scope: if self.discarded {
                DeadLetterScope::Discarded
            } else {
                DeadLetterScope::Waiting
            },
        })
    }

    async fn named_device(&self, ledger: &Ledger) -> Result<Option<DeviceId>, DeviceNameError> {
        match &self.device {
            Some(name) => Ok(Some(ledger.device_named(name).await?)),
            None => Ok(None),
        }
    }
}
