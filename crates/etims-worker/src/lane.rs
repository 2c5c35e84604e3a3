//! What the steps of a lane work with: everything that this worker's lanes share, and one claimed
//! lane.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use risiti_etims::{Backoff, Client, DeviceProfile};
use risiti_ledger::{Claim, LaneInvoice, LaneWork, Ledger, Vault};
use risiti_queue::Publisher;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::host::{Host, Permit};
use crate::hosts::{Hosts, Trial};
use crate::lane_hosts::LaneHosts;
use crate::leases::{HeldLease, Leases};
use crate::metrics::Metrics;
use crate::places::Places;

/// What every lane of this worker shares.
pub(crate) struct Lanes {
    pub(crate) ledger: Ledger,
    pub(crate) vault: Vault,
    /// Set when a secret did not open and the canary did not either.
    pub(crate) key_doubted: AtomicBool,
    pub(crate) client: Client,
    pub(crate) publisher: Publisher,
    pub(crate) publish_timeout: Duration,
    pub(crate) hosts: Hosts,
    pub(crate) places: Arc<Places>,
    pub(crate) lane_hosts: LaneHosts,
    pub(crate) leases: Leases,
    pub(crate) metrics: Metrics,
    pub(crate) worker: Uuid,
    pub(crate) backoff: Backoff,
    pub(crate) strikes_max: u32,
    /// Once cancelled, no more work is taken.
    pub(crate) shutdown: CancellationToken,
    /// Once cancelled, no answer is waited for (protocol D17).
    pub(crate) deadline: CancellationToken,
}

/// A lane that this worker has claimed.
pub(crate) struct Lane<'a> {
    pub(crate) lanes: &'a Lanes,
    pub(crate) claim: &'a Claim,
    pub(crate) lease: &'a HeldLease<'a>,
    pub(crate) profile: &'a DeviceProfile,
    pub(crate) host: Arc<Host>,
    pub(crate) trial: Trial,
    /// What the lane does next, where it was read together with the last write.
    pub(crate) next: Option<LaneWork>,
    /// The next send, where it was stored together with the last receipt. It has to be made.
    pub(crate) begun: Option<(Box<LaneInvoice>, BegunSend)>,
    /// Whether the turn goes on after the invoice that is filed now.
    pub(crate) goes_on: bool,
    /// Whether a late look-up was due when the lane's work was read last.
    pub(crate) late_due: bool,
}

/// A send that is stored and not made yet.
pub(crate) struct BegunSend {
    pub(crate) submission: i64,
    pub(crate) body: Vec<u8>,
    pub(crate) permit: Permit,
}

/// How a step of a lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepEnd {
    /// An invoice needs nothing more.
    InvoiceDone,
    /// The next step can follow at once.
    Continue,
    /// The lane has nothing more to do for now.
    Stop,
    /// The lane has work, but its host takes no call now. A wake-up at once would be for nothing.
    NotNow,
}
