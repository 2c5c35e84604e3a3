//! Counts of the calls that came in, for audits: calls at once, connections and refusals.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::branch::Branch;
use crate::connection::Connection;
use crate::journal::{Journal, JournalEntry, Peak};
use crate::refusal::{ProtocolError, Refusal, RefusalKind};
use crate::routes::Call;

/// Bound on the client mistakes that are kept word by word. All of them are counted.
const MAX_LOGGED_ERRORS: usize = 1000;

/// Bound on the paths that are counted separately. Any further ones are counted together.
const MAX_PATHS: usize = 200;

/// Bound on the devices whose maxima of calls in flight are kept.
const MAX_DEVICES: usize = 20_000;

#[derive(Default)]
pub(crate) struct Traffic {
    inner: Arc<Mutex<Inner>>,
    pub(crate) journal: Journal,
}

#[derive(Default)]
struct Inner {
    open_calls: HashMap<u64, OpenCall>,
    last_call_id: u64,
    counts: Counts,
}

struct OpenCall {
    branch: Option<Branch>,
    connection: Arc<Connection>,
}

/// The counts of `GET /_sim/stats`, under the names that it gives them.
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
    /// Callers that went away before their answer.
    pub(crate) hung_up: u64,
    pub(crate) resends_without_look_up: u64,
}

/// A call in flight. The call ends when this is dropped.
pub(crate) struct InFlight {
    inner: Arc<Mutex<Inner>>,
    id: u64,
}

impl InFlight {
    /// Counts the caller if it has gone away before the answer.
    pub(crate) fn note_hung_up(&self) {
        let mut inner = lock(&self.inner);
        let gone = inner
            .open_calls
            .get(&self.id)
            .is_some_and(|open_call| open_call.connection.hung_up());
        inner.counts.hung_up += u64::from(gone);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        lock(&self.inner).open_calls.remove(&self.id);
    }
}

impl Traffic {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    pub(crate) fn update(&self, update: impl FnOnce(&mut Counts)) {
        update(&mut self.lock().counts);
    }

    /// The counts, and the number of calls in flight.
    pub(crate) fn counts(&self) -> (Counts, usize) {
        let inner = self.lock();
        (inner.counts.clone(), inner.open_calls.len())
    }

    /// Forgets the counts. Calls in flight stay in flight.
    pub(crate) fn clear(&self) {
        self.lock().counts = Counts::default();
    }

    pub(crate) fn begin_call(
        &self,
        call: Call,
        path: &str,
        branch: Option<Branch>,
        connection: Arc<Connection>,
    ) -> InFlight {
        let mut inner = self.lock();
        *inner.counts.calls.entry(call).or_default() += 1;
        inner.counts.count_path(path);
        inner.counts.connections += u64::from(connection.mark_used());

        inner.last_call_id += 1;
        let id = inner.last_call_id;
        let open_call = OpenCall {
            branch: branch.clone(),
            connection,
        };
        inner.open_calls.insert(id, open_call);
        let peak = inner.raise_maxima(branch.as_ref());
        drop(inner);

        if let Some(peak) = peak {
            self.keep(&JournalEntry::Peak(peak));
        }
        InFlight {
            inner: self.inner.clone(),
            id,
        }
    }

    pub(crate) fn count_refusal(&self, path: &str, branch: Option<&Branch>, refusal: &Refusal) {
        if refusal.kind == RefusalKind::Resend {
            let name = refusal.kind.name().to_owned();
            self.update(|counts| *counts.refusals.entry(name).or_default() += 1);
            return;
        }
        let error = ProtocolError::new(path, branch, refusal);
        self.keep(&JournalEntry::Mistake(error.clone()));
        self.count_protocol_error(error);
    }

    pub(crate) fn count_protocol_error(&self, error: ProtocolError) {
        self.update(|counts| {
            *counts.refusals.entry(error.mistake.clone()).or_default() += 1;
            counts.protocol_errors += 1;
            if counts.protocol_error_log.len() == MAX_LOGGED_ERRORS {
                counts.protocol_error_log.pop_front();
            }
            counts.protocol_error_log.push_back(error);
        });
    }

    /// Counts a number that was sent again after a lost answer without a look-up in between.
    pub(crate) fn count_resend_without_look_up(&self) {
        self.keep(&JournalEntry::ResendWithoutLookUp);
        self.update(|counts| counts.resends_without_look_up += 1);
    }

    /// Writes a count to the journal. A journal that fails is logged and refuses sales, so the
    /// count itself need not fail.
    fn keep(&self, entry: &JournalEntry) {
        let _ = self.journal.write(entry);
    }
}

impl Counts {
    fn is_exceeded_by(&self, peak: &Peak) -> bool {
        let by_device = peak.device.as_ref().is_some_and(|(branch, calls)| {
            let name = branch.to_string();
            let max = self.in_flight_max_per_device.get(&name).copied();
            self.keeps_device(&name) && *calls > max.unwrap_or_default()
        });
        peak.all > self.in_flight_max || by_device
    }

    pub(crate) fn raise_to(&mut self, peak: &Peak) {
        self.in_flight_max = self.in_flight_max.max(peak.all);
        let Some((branch, calls)) = &peak.device else {
            return;
        };
        let name = branch.to_string();
        if self.keeps_device(&name) {
            let max = self.in_flight_max_per_device.entry(name).or_default();
            *max = (*max).max(*calls);
        }
    }

    fn keeps_device(&self, name: &str) -> bool {
        self.in_flight_max_per_device.len() < MAX_DEVICES
            || self.in_flight_max_per_device.contains_key(name)
    }

    fn count_path(&mut self, path: &str) {
        let known = self.paths.len() < MAX_PATHS || self.paths.contains_key(path);
        let name = if known { path } else { "(others)" };
        *self.paths.entry(name.to_owned()).or_default() += 1;
    }
}

impl Inner {
    /// Raises the maxima, and returns the new peak if there is one.
    fn raise_maxima(&mut self, branch: Option<&Branch>) -> Option<Peak> {
        let at_most = self.in_flight(branch, |_| true);
        if !self.counts.is_exceeded_by(&at_most) {
            return None;
        }
        let peak = self.in_flight(branch, |connection| !connection.hung_up());
        if !self.counts.is_exceeded_by(&peak) {
            return None;
        }
        self.counts.raise_to(&peak);
        Some(peak)
    }

    /// The calls in flight now.
    ///
    /// KRA goes on with a call whose caller has gone away, so that all of them count. A client that
    /// gave up one call may make the next one, so that those of a device count only while their
    /// caller `waits`.
    fn in_flight(&self, branch: Option<&Branch>, waits: impl Fn(&Connection) -> bool) -> Peak {
        let of_device = |branch: &Branch| {
            self.open_calls
                .values()
                .filter(|open_call| open_call.branch.as_ref() == Some(branch))
                .filter(|open_call| waits(&open_call.connection))
                .count()
        };
        Peak {
            all: self.open_calls.len(),
            device: branch.map(|branch| (branch.clone(), of_device(branch))),
        }
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    // Counters stay usable after a panic elsewhere.
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
