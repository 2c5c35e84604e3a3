//! Commits whose answer did not come, and how their events are told from those of other
//! transactions.

use std::collections::HashMap;

use jiff::Timestamp;
use risiti_domain::EventId;

use crate::recording::recorded::Recorded;

/// What earlier tries of a batch recorded, if their commits took place although no answer came.
///
/// The next try finds the events of such a commit in the ledger. It knows them by the time their
/// transaction began, and returns what the lost answer would have. So every event is new exactly
/// once, however often its batch is tried.
#[derive(Debug, Default)]
pub struct UnansweredCommits {
    by_event: HashMap<EventId, (Timestamp, Recorded)>,
}

impl UnansweredCommits {
    /// Keeps what a transaction recorded that began at `began`.
    pub(crate) fn remember(&mut self, began: Timestamp, recorded: &Recorded) {
        self.by_event
            .insert(recorded.event, (began, recorded.clone()));
    }

    /// What an unanswered commit recorded for an event that the ledger has since `recorded_at`.
    pub(crate) fn get(&self, event: EventId, recorded_at: Timestamp) -> Option<&Recorded> {
        let (began, recorded) = self.by_event.get(&event)?;
        (*began == recorded_at).then_some(recorded)
    }
}
