//! Recording events against a real database.

mod kit;
mod stories;
