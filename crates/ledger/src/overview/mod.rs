//! What a person looks up by hand: the state of the whole, one payment's story, and who changed
//! what.

pub(crate) mod audit;
pub(crate) mod invoice_text;
pub(crate) mod newest_webhook;
pub(crate) mod outcomes;
pub(crate) mod status;
pub(crate) mod story;
pub(crate) mod story_text;
pub(crate) mod text;
