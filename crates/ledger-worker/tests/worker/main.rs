//! Tests of the built program between a real broker and a real database.
#![expect(clippy::unwrap_used, reason = "a test")]

mod batch_bytes;
mod batches_at_once;
mod credential_uses;
mod dead_letters;
mod fixture;
mod good_messages;
mod hostile;
mod letters_refused;
mod outages;
mod registered_codes;
