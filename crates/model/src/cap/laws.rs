//! What must hold, and what must be seen to happen so that the law is not vacuous.

use stateright::Property;

use super::{CapModel, CapState};

pub const CAP: &str = "no more calls are in flight than the cap";

pub(super) fn properties() -> Vec<Property<CapModel>> {
    vec![
        Property::always(CAP, |model: &CapModel, state: &CapState| {
            state.calls() <= model.cap
        }),
        Property::sometimes("the whole cap is in use", |model, state: &CapState| {
            state.calls() == model.cap
        }),
        Property::sometimes("a share is lent", |_, state: &CapState| state.lent),
        Property::sometimes(
            "a dead worker's share is given away",
            |_, state: &CapState| state.reclaimed,
        ),
    ]
}
