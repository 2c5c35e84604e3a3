//! Flagged payments: those that a person has to look at, and how their flags end (protocol C12).

pub(crate) mod contradictions;
pub(crate) mod decide;
pub(crate) mod evidence;
pub(crate) mod gauges;
pub(crate) mod list;
pub(crate) mod locked;
pub(crate) mod reason;
pub(crate) mod short_codes;
