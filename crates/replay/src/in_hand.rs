//! The dead letters that a pass handles at once, and the counts of those that ended.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use risiti_ledger::{RunCounts, RunItem};
use risiti_queue::Delivery;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::dead_letter_handler::ItemOutcome;
use crate::item_run::ItemRun;
use crate::outcomes::MovedInvoices;

/// Each dead letter waits for the disk and for the broker in turn. So many together keep up with a
/// rate that one after the other would not.
pub(crate) const IN_HAND_MAX: usize = 8;
/// Dead letters that are left to their lanes and named in the report. The others are counted.
const NAMED_MAX: usize = 100;

/// What became of the dead letters of a pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct PassCounts {
    pub(crate) run: RunCounts,
    /// How many of those that matched were left to their lanes to look up.
    pub(crate) looked_up_first: u64,
    /// The first of them.
    pub(crate) looked_up_ids: Vec<Uuid>,
}

impl PassCounts {
    pub(crate) fn add(&mut self, outcome: &ItemOutcome) {
        self.run.matched += 1;
        match outcome {
            ItemOutcome::Moved => self.run.done += 1,
            ItemOutcome::LookUpFirst => self.looked_up_first += 1,
            ItemOutcome::Skipped => self.run.skipped += 1,
            ItemOutcome::Failed(_) => self.run.failed += 1,
        }
    }

    fn name_looked_up(&mut self, id: Uuid) {
        if self.looked_up_ids.len() < NAMED_MAX {
            self.looked_up_ids.push(id);
        }
    }
}

pub(crate) struct InHand {
    items: Arc<ItemRun>,
    tasks: JoinSet<(RunItem, Result<ItemOutcome>)>,
    ids: HashSet<Uuid>,
    pub(crate) counts: PassCounts,
    pub(crate) moved: MovedInvoices,
}

impl InHand {
    pub(crate) fn new(items: Arc<ItemRun>) -> Self {
        Self {
            items,
            tasks: JoinSet::new(),
            ids: HashSet::new(),
            counts: PassCounts::default(),
            moved: MovedInvoices::default(),
        }
    }

    pub(crate) fn start(&mut self, item: RunItem, delivery: Option<Delivery>) {
        self.ids.insert(item.id);
        let items = self.items.clone();
        self.tasks.spawn(async move {
            let outcome = items.handle(&item, delivery).await;
            (item, outcome)
        });
    }

    pub(crate) fn is_full(&self) -> bool {
        self.tasks.len() >= IN_HAND_MAX
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(crate) fn contains(&self, id: Uuid) -> bool {
        self.ids.contains(&id)
    }

    /// How many dead letters matched, with those in hand.
    pub(crate) fn matched(&self) -> u64 {
        self.counts.run.matched + self.tasks.len() as u64
    }

    pub(crate) fn count(&mut self, outcome: &ItemOutcome) {
        self.counts.add(outcome);
        self.items.bar.inc(1);
    }

    /// Waits until one more has ended. Returns at once if none is in hand. Dropping the future
    /// loses nothing.
    pub(crate) async fn end_one(&mut self) -> Result<()> {
        let Some(ended) = self.tasks.join_next().await else {
            return Ok(());
        };
        let (item, outcome) = ended.context("a dead letter was not handled to its end")?;
        self.ids.remove(&item.id);
        let outcome = outcome?;
        if outcome == ItemOutcome::LookUpFirst {
            self.counts.name_looked_up(item.id);
        }
        if let (ItemOutcome::Moved, Some(invoice)) = (&outcome, item.invoice) {
            self.moved.add(invoice);
        }
        self.count(&outcome);
        Ok(())
    }

    /// Waits until none is in hand, also after an error. Returns the first error.
    pub(crate) async fn end_all(&mut self) -> Result<()> {
        let mut all = Ok(());
        while !self.is_empty() {
            all = all.and(self.end_one().await);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_that_are_named_are_bounded() {
        let mut counts = PassCounts::default();
        for _ in 0..=NAMED_MAX {
            counts.name_looked_up(Uuid::now_v7());
        }
        assert_eq!(counts.looked_up_ids.len(), NAMED_MAX);
    }
}
