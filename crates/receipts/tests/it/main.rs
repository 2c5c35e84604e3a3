//! The worked example in all forms, what is refused, and what comes from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod codes;
mod fixture;
mod forms;
mod golden;
mod hostile;
mod html_reader;
mod pages;
mod pdf_reader;
mod refused;
mod settings;
mod sums;
