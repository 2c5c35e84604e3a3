//! What must hold, and what must be seen to happen so that the laws are not vacuous.

use stateright::Property;

use super::{AcknowledgeModel, AcknowledgeState, Delivery, LedgerWorker};

pub const DURABLE: &str = "what was answered 200 is in the queue, the spool or the ledger";
pub const RECORDED_ONCE: &str = "one event and one invoice, however often it was sent";
pub const SETTLES: &str = "once faults stop, all is recorded and nothing waits";

pub(super) fn properties() -> Vec<Property<AcknowledgeModel>> {
    let mut properties = laws();
    properties.extend(reached());
    properties
}

fn laws() -> Vec<Property<AcknowledgeModel>> {
    vec![
        Property::always(DURABLE, |_: &AcknowledgeModel, state: &AcknowledgeState| {
            !state.answered || state.queued > 0 || state.spooled > 0 || state.events > 0
        }),
        Property::always(RECORDED_ONCE, |_, state: &AcknowledgeState| {
            state.events <= 1 && state.invoices <= 1
        }),
        Property::always(
            SETTLES,
            |model: &AcknowledgeModel, state: &AcknowledgeState| {
                model.settling.always_settles(model, state)
            },
        ),
    ]
}

/// What must be seen to happen. If it never did, the laws would hold of nothing.
fn reached() -> Vec<Property<AcknowledgeModel>> {
    vec![
        Property::sometimes(
            "two replicas publish one webhook",
            |_: &AcknowledgeModel, state: &AcknowledgeState| {
                state.deliveries == [Delivery::Publishing; 2]
            },
        ),
        Property::sometimes(
            "two workers record one webhook",
            |_, state: &AcknowledgeState| state.workers == [LedgerWorker::Took; 2],
        ),
        Property::sometimes(
            "a recorded webhook is queued again",
            |_, state: &AcknowledgeState| state.events == 1 && state.ready() > 0,
        ),
    ]
}
