#![doc = include_str!("../README.md")]

mod adoption;
mod books;
mod credentials;
mod dead_letters;
mod device_admin;
mod devices;
mod directory;
mod error;
mod events;
mod hosts;
mod lane_gauges;
mod lane_settle;
mod lane_status;
mod lane_work;
mod lanes;
mod listen;
mod look_ups;
mod manage;
mod merchants;
mod migrate;
mod owing;
mod payment_rows;
mod payments;
mod pool;
mod processes;
mod provider_accounts;
mod record;
mod recorded;
mod reversal_rows;
mod reversals;
#[cfg(test)]
mod rights;
mod statements;
mod stripes;
mod submissions;
mod suspects;
mod tokens;
mod vault;
mod verification;
mod wake;

pub use adoption::Adoption;
pub use credentials::{KeyCheck, Reencrypted};
pub use dead_letters::{MessageDeadLetter, invoice_dead_letter_id};
pub use device_admin::{ByHand, DeviceChanges, DeviceOptions, NewDevice, Updated};
pub use devices::{Device, DeviceToken};
pub use directory::{
    Bytes, DarajaAccount, Directory, GumroadAccount, Merchant, PaystackAccount, PaystackKey, hash_path_secret,
};
pub use error::{LedgerError, Refusal};
pub use events::{Delivery, IncomingEvent};
pub use hosts::{Breaker, HostProof, HostState};
pub use lane_gauges::LaneGauges;
pub use lane_settle::Tally;
pub use lane_status::LaneStatus;
pub use lane_work::{History, LaneInvoice, LaneWork, LateLookUp};
pub use lanes::{Claim, LEASE};
pub use listen::{DirectoryView, watch_directory};
pub use manage::ManageError;
pub use merchants::MerchantSummary;
pub use migrate::{Report, migrate};
pub use pool::{DatabaseSettings, Ledger};
pub use processes::{HEARTBEAT_EXPIRY, HostShares};
pub use provider_accounts::{AccountSummary, AddedAccount, KeySummary, NewAccount};
pub use recorded::Recorded;
pub use submissions::{AnsweredSend, SendWord, StoredReceipt};
pub use vault::{Place, Vault, VaultError};
