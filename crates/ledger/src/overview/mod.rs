//! What a person looks up by hand: the state of the whole, and who changed what.

pub(crate) mod audit;
pub(crate) mod status;
pub(crate) mod text;
