//! What goes wrong on purpose: the faults, the rules that say which calls they hit, and the calls
//! that are hit.

pub(crate) mod fault;
mod faulty_calls;
pub(crate) mod rule;
pub(crate) mod script;
