#![doc = include_str!("../README.md")]

mod db;
mod dead_letters;
mod directory;
mod flagged;
mod lanes;
mod operator_actions;
mod overview;
mod recording;
mod retention;
#[cfg(test)]
mod statement_checks;

pub use db::credentials::{KeyCheck, Reencrypted};
pub use db::error::{LedgerError, Refusal};
pub use db::migrate::{MigrationReport, migrate};
pub use db::pool::{DatabaseSettings, Ledger};
pub use db::vault::{Place, Vault, VaultError};
pub use dead_letters::discard_waiting::{DISCARD_BATCH_MAX, DiscardedBatch};
pub use dead_letters::evidence::Evidence;
pub use dead_letters::groups::DeadLetterGroup;
pub use dead_letters::insert::{MessageDeadLetter, invoice_dead_letter_id};
pub use dead_letters::list::{
    CauseCount, DeadLetter, DeadLetterFilter, DeadLetterScope, ListOrder,
};
pub use dead_letters::moves::{MoveOutcome, StoredMessage};
pub use dead_letters::not_dead::{Named, NotADeadLetter};
pub use dead_letters::replay_lock::ReplayLock;
pub use dead_letters::runs::{ReplayRun, RunCounts, RunItem, RunStatus};
pub use dead_letters::waiting::{WaitingFilter, WaitingInvoice};
pub use dead_letters::would_send::WouldSend;
pub use directory::device_changes::{DeviceChanges, UpdatedDevice};
pub use directory::device_names::DeviceNameError;
pub use directory::devices::{Device, TokenEndpoint};
pub use directory::listen::{DirectoryView, watch_directory};
pub use directory::manage_error::ManageError;
pub use directory::merchants::{MerchantSummary, SecretSummary};
pub use directory::new_device::{DeviceOptions, NewDevice};
pub use directory::next_number::NumberChange;
pub use directory::provider_accounts::{AccountSummary, AddedAccount, KeySummary, NewAccount};
pub use directory::snapshot::{
    Bytes, DarajaAccount, Directory, Expiry, GumroadAccount, KnownSecret, Merchant,
    PaystackAccount, PaystackKey, hash_path_secret,
};
pub use directory::tax_rates::{DeviceTaxRates, ListedTaxRates, TaxPercents};
pub use flagged::contradictions::{Contradiction, Facts};
pub use flagged::decide::{FlagDecision, FlagOutcome, FlagPreview};
pub use flagged::gauges::{OpenMessages, WaitingForAPerson};
pub use flagged::list::{FlaggedFilter, FlaggedPayment, Settling};
pub use flagged::reason::flag_reason;
pub use lanes::adoption::Adoption;
pub use lanes::buyers::{BuyerChange, KnownBuyer};
pub use lanes::contradiction::OnContradiction;
pub use lanes::evidence::FoundAtKra;
pub use lanes::failure_run::FailureRun;
pub use lanes::halt_by_hand::LaneRefusal;
pub use lanes::hosts::{Breaker, BreakerChange, HostProof, HostState};
pub use lanes::leases::{Claim, LEASE, LaneError, Released};
pub use lanes::new_send::NewSend;
pub use lanes::resolve::{Ownership, Resolution, Resolved};
pub use lanes::resolve_accepted::EnteredReceipt;
pub use lanes::resolve_through::{NUMBERS_MAX, ResolvedThrough, UnansweredSend};
pub use lanes::set_aside::InvoiceToSetAside;
pub use lanes::settle::{
    FailureCount, HIDDEN_MAX, HaltOutcome, HaltRemedy, LaneWait, LastWord, UNKNOWN_MAX,
};
pub use lanes::share_split::{HostShares, RecordedShare};
pub use lanes::shares::{HEARTBEAT_EXPIRY, LowerShare, Want};
pub use lanes::status::{HeldInvoice, LaneFilter, LaneStatus, LastSend};
pub use lanes::submissions::{AnsweredSend, SendResult, StoredReceipt};
pub use lanes::wake::WakeLimit;
pub use lanes::work::{History, LaneInvoice, LaneWork, LateLookUp};
pub use operator_actions::{CommandMode, OperatorAction};
pub use overview::audit::{AuditEntry, AuditFilter};
pub use overview::invoice_text::invoice_state;
pub use overview::status::StatusSection;
pub use overview::story::FoundStories;
pub use overview::story_text::story_text;
pub use overview::text::plain;
pub use recording::event::{Delivery, IncomingEvent};
pub use recording::recorded::Recorded;
pub use recording::unanswered::UnansweredCommits;
pub use retention::prune::{BODY_AGE_MIN, BodyAges, BodyCount, BodyTable, PruneWalk};
