//! Why a command of `risiti-admin` is refused, in words that say what to do about it.

use risiti_domain::Environment;

use crate::db::error::LedgerError;
use crate::db::vault::VaultError;

/// Why merchants, accounts or devices could not be changed as asked.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    #[error("there is a merchant {0} already")]
    MerchantExists(String),
    #[error("there is no merchant {0}: make it with `risiti-admin merchant create`")]
    NoMerchant(String),
    #[error(
        "merchant {merchant} has no {provider} account: add it with `risiti-admin provider add`"
    )]
    NoAccount {
        merchant: String,
        provider: &'static str,
    },
    #[error("short code {0} belongs to another merchant")]
    ShortCodeTaken(String),
    #[error(
        "short code {short_code} is not registered: first run `risiti-admin provider add --merchant \
         {merchant} --provider daraja --shortcode {short_code}`"
    )]
    ShortCodeUnknown {
        merchant: String,
        short_code: String,
    },
    #[error("a new daraja account needs a --shortcode")]
    ShortCodeMissing,
    #[error("--enforce-cidr without any --allow-cidr would refuse every webhook")]
    NothingAllowed,
    #[error("this key is active already, as {0}")]
    KeyKnown(uuid::Uuid),
    #[error(
        "merchant {0} has this key already, and each payment would be booked and filed twice: remove it there first \
         with `risiti-admin provider remove-key`"
    )]
    KeyOfAnother(String),
    #[error("merchant {0} has this seller already, and each sale would be booked and filed twice")]
    SellerOfAnother(String),
    #[error(
        "two keys are active already: remove one with `risiti-admin provider remove-key` first"
    )]
    KeysFull,
    #[error("there is no such key: `risiti-admin provider list` shows the active ones")]
    NoKey,
    #[error(
        "it is the only active key and without it every webhook is refused: add its successor first, or say --force"
    )]
    LastKey,
    #[error(
        "there is a device for {environment} {pin} {branch} already: KRA counts invoices per branch, so there is one lane for it"
    )]
    BranchTaken {
        environment: Environment,
        pin: String,
        branch: String,
    },
    #[error("there is no device {0}: `risiti-admin device list` shows them")]
    NoDevice(risiti_domain::DeviceId),
    #[error(
        "the gateway dialect needs --token-url, --consumer-key, --consumer-secret-file and --app-id"
    )]
    TokenMissing,
    #[error(
        "{0} cannot change once the device has invoices: they stay with the merchant and environment they were made for"
    )]
    HasInvoices(&'static str),
    #[error(
        "the next invoice number cannot go up from {from} to {to}: the lane has sent sales already. If another system \
         filed the numbers between, stop the lane with `risiti-replay lanes halt {device} --reason …`, then say so with \
         `risiti-replay lanes resolve {device} --through {} --taken-elsewhere --reason …`", .to - 1
    )]
    NumberAhead {
        device: risiti_domain::DeviceId,
        from: i64,
        to: i64,
    },
    #[error("the next invoice number cannot go back from {from} to {to}: {why}")]
    NumberInUse { from: i64, to: i64, why: String },
    #[error(
        "a worker holds the lane at this moment, so that its number stays: try again in ten seconds, or stop the lane \
         first with `risiti-replay lanes halt`"
    )]
    LaneHeld,
    #[error(
        "the lane cannot be taken now: it is halted, backing off, or a worker holds it; `risiti-admin device \
         show` tells which"
    )]
    LaneBusy,
    #[error(
        "the lane has an invoice under way whose outcome is not known yet: try again when it is settled"
    )]
    LaneUnsettled,
    #[error("base URL {0:?} has no host")]
    NoHost(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<VaultError> for ManageError {
    fn from(error: VaultError) -> Self {
        Self::Ledger(error.into())
    }
}

/// Replaces the refusal of one named constraint by what it means for the command.
pub(crate) fn refused_by(
    error: LedgerError,
    constraint: &str,
    meaning: impl FnOnce() -> ManageError,
) -> ManageError {
    if error.constraint() == Some(constraint) {
        meaning()
    } else {
        error.into()
    }
}
