//! What a person looks up by hand: the state of the whole.

pub(crate) mod status;
pub(crate) mod text;
