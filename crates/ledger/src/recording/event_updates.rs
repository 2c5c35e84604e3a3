//! Which payments the events of reversals are about, and one update per event.

use std::collections::HashMap;

use risiti_domain::EventId;

use crate::recording::event::{EventUpdate, IncomingEvent};
use crate::recording::locked_payments::LockedPayments;
use crate::recording::locked_reversals::LockedReversals;
use crate::recording::reversal::RowStatus;

/// Updates for the reversals of this batch, and for those of earlier batches whose payment came
/// only now.
pub(crate) fn of_reversals(
    events: &[&IncomingEvent],
    reversals: &LockedReversals,
    payments: &LockedPayments,
) -> Vec<EventUpdate> {
    let reported = events.iter().filter_map(|event| {
        let report = event.event.body.reversal()?;
        let sale = payments.by_money_key(event.merchant, event.provider, &report.of_money_key)?;
        Some(EventUpdate {
            event: event.id,
            payment: Some(sale.id),
            flagged: false,
        })
    });
    let changed = reversals
        .rows
        .iter()
        .filter(|reversal| reversal.row != RowStatus::Unchanged);
    let linked = changed.map(|reversal| EventUpdate {
        event: reversal.event,
        payment: reversal.payment,
        flagged: false,
    });
    let flagged = reversals.flagged.iter().map(|event| EventUpdate {
        event: *event,
        payment: None,
        flagged: true,
    });
    reported.chain(linked).chain(flagged).collect()
}

/// Merges updates into one per event.
pub(crate) fn merged(updates: &[EventUpdate]) -> HashMap<EventId, EventUpdate> {
    let mut by_event = HashMap::with_capacity(updates.len());
    for update in updates {
        merge(&mut by_event, *update);
    }
    by_event
}

/// Adds an update to those that are known of its event.
fn merge(by_event: &mut HashMap<EventId, EventUpdate>, update: EventUpdate) {
    let known = by_event.entry(update.event).or_insert(update);
    known.payment = known.payment.or(update.payment);
    known.flagged |= update.flagged;
}
