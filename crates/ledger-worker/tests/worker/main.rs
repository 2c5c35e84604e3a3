//! The built program between a real broker and a real database.
#![expect(clippy::unwrap_used, reason = "a test")]

mod aside;
mod bounds;
mod hostile;
mod losses;
mod path;
mod stage;
