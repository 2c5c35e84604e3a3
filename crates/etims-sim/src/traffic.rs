//! Counts of everything that came in, for audits: calls at once, connections, refusals.

use crate::connection::Connection;
use crate::journal::{Journal, JournalEntry};
use crate::records::Branch;
use crate::refusal::{Clash, Mistake, Refusal};
use crate::routes::Call;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

/// Client mistakes remembered word by word; all are counted.
const REMEMBERED: usize = 1000;

/// Paths counted apart; a client that invents more has them counted together.
const MAX_PATHS: usize = 200;

/// Devices whose calls in flight are counted apart.
const MAX_DEVICES: usize = 20_000;

#[derive(Default)]
pub(crate) struct Traffic {
    inner: Mutex<Inner>,
    pub(crate) journal: Journal,
}

#[derive(Default)]
struct Inner {
    open_calls: HashMap<u64, OpenCall>,
    last_call: u64,
    counts: Counts,
}

struct OpenCall {
    branch: Option<Branch>,
    connection: Arc<Connection>,
}

#[derive(Clone, Default, Serialize)]
pub(crate) struct Counts {
    pub(crate) connections: u64,
    pub(crate) calls: BTreeMap<Call, u64>,
    pub(crate) paths: BTreeMap<String, u64>,
    pub(crate) in_flight_max: usize,
    pub(crate) in_flight_max_per_device: BTreeMap<String, usize>,
    pub(crate) refusals: BTreeMap<String, u64>,
    pub(crate) protocol_errors: u64,
    pub(crate) protocol_error_log: VecDeque<ProtocolError>,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Calls without a valid token.
    pub(crate) unauthorised: u64,
    pub(crate) late_refused: u64,
    pub(crate) resends_without_look_up: u64,
}

/// One client mistake.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ProtocolError {
    pub(crate) at: jiff::Timestamp,
    pub(crate) path: String,
    pub(crate) device: Option<String>,
    pub(crate) mistake: String,
    pub(crate) code: String,
    pub(crate) message: String,
    /// Whether it was one at all depends on when the caller let go of the number, which only its own records tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) clash: Option<Clash>,
}

/// A call in flight; ends when dropped.
pub(crate) struct InFlight<'a> {
    traffic: &'a Traffic,
    id: u64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.traffic.lock().open_calls.remove(&self.id);
    }
}

impl Traffic {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counters stay usable after a panic elsewhere.
        self.inner
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
    }

    pub(crate) fn counts(&self) -> (Counts, usize) {
        let mut inner = self.lock();
        inner
            .open_calls
            .retain(|_, open_calls| !open_calls.connection.hung_up());
        (inner.counts.clone(), inner.open_calls.len())
    }

    /// Forgets the counts; calls in flight stay in flight.
    pub(crate) fn clear(&self) {
        self.lock().counts = Counts::default();
    }

    pub(crate) fn enter(
        &self,
        call: Call,
        path: &str,
        branch: Option<Branch>,
        connection: Arc<Connection>,
    ) -> InFlight<'_> {
        let mut inner = self.lock();
        *inner.counts.calls.entry(call).or_default() += 1;
        inner.counts.count_path(path);
        inner.counts.connections += u64::from(connection.is_fresh());
        inner.last_call += 1;
        let id = inner.last_call;
        inner.open_calls.insert(
            id,
            OpenCall {
                branch: branch.clone(),
                connection,
            },
        );
        let raised = inner.measure(branch.as_ref());
        drop(inner);
        if let Some((all, device)) = raised {
            self.journal.write(&JournalEntry::Peak { all, device });
        }
        InFlight { traffic: self, id }
    }

    pub(crate) fn note(&self, path: &str, branch: Option<&Branch>, refusal: &Refusal) {
        if refusal.mistake == Mistake::None {
            let name = refusal.mistake.name().to_owned();
            *self.lock().counts.refusals.entry(name).or_default() += 1;
            return;
        }
        let error = ProtocolError {
            at: jiff::Timestamp::now(),
            path: path.to_owned(),
            device: branch.map(ToString::to_string),
            mistake: refusal.mistake.name().to_owned(),
            code: refusal.code.clone(),
            message: refusal.gateway.clone(),
            clash: refusal.clash.as_deref().cloned(),
        };
        self.journal.write(&JournalEntry::Mistake(error.clone()));
        self.remember(error);
    }

    pub(crate) fn remember(&self, error: ProtocolError) {
        let counts = &mut self.lock().counts;
        *counts.refusals.entry(error.mistake.clone()).or_default() += 1;
        counts.protocol_errors += 1;
        if counts.protocol_error_log.len() == REMEMBERED {
            counts.protocol_error_log.pop_front();
        }
        counts.protocol_error_log.push_back(error);
    }

    /// Counts a number sent again although its last answer was lost and nobody looked it up since.
    pub(crate) fn resent_without_look_up(&self) {
        self.journal.write(&JournalEntry::ResendWithoutLookUp);
        self.change(|counts| counts.resends_without_look_up += 1);
    }
}

impl Counts {
    /// Whether one of the maxima rose.
    pub(crate) fn raise(&mut self, all: usize, device: Option<(Branch, usize)>) -> bool {
        let mut rose = all > self.in_flight_max;
        self.in_flight_max = self.in_flight_max.max(all);
        let Some((branch, of_device)) = device else {
            return rose;
        };
        let name = branch.to_string();
        let room = self.in_flight_max_per_device.len() < MAX_DEVICES;
        if room || self.in_flight_max_per_device.contains_key(&name) {
            let max = self.in_flight_max_per_device.entry(name).or_default();
            rose |= of_device > *max;
            *max = (*max).max(of_device);
        }
        rose
    }

    fn count_path(&mut self, path: &str) {
        let known = self.paths.len() < MAX_PATHS || self.paths.contains_key(path);
        *self
            .paths
            .entry(if known { path } else { "(others)" }.to_owned())
            .or_default() += 1;
    }
}

impl Inner {
    /// Raises the maxima. A caller that hung up no longer waits, but its end is often noticed
    /// here after its next call arrived; so a new maximum is only believed once every other
    /// connection was looked at.
    fn measure(&mut self, branch: Option<&Branch>) -> Option<(usize, Option<(Branch, usize)>)> {
        if !self.is_new_maximum(branch) {
            return None;
        }
        self.open_calls
            .retain(|_, open_calls| !open_calls.connection.hung_up());
        let all = self.open_calls.len();
        let of_device = branch.map(|branch| (branch.clone(), self.of(branch)));
        self.counts
            .raise(all, of_device.clone())
            .then_some((all, of_device))
    }

    fn is_new_maximum(&self, branch: Option<&Branch>) -> bool {
        self.open_calls.len() > self.counts.in_flight_max
            || branch.is_some_and(|branch| {
                let max = self
                    .counts
                    .in_flight_max_per_device
                    .get(&branch.to_string())
                    .copied();
                self.of(branch) > max.unwrap_or_default()
            })
    }

    fn of(&self, branch: &Branch) -> usize {
        self.open_calls
            .values()
            .filter(|open_calls| open_calls.branch.as_ref() == Some(branch))
            .count()
    }
}
