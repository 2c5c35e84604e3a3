//! What a command prints: text for a person, or JSON for a program, never both.

use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;

/// Prints results to standard output and notes to standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

/// Whether somebody still reads standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Present,
    Gone,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Prints one line of a list, or the result of a command. A long list can stop when its reader
    /// is gone.
    pub(crate) fn line(self, object: &impl Serialize, text: impl FnOnce() -> String) -> Reader {
        let line = if self.json { json(object) } else { text() };
        match writeln!(std::io::stdout().lock(), "{line}") {
            Ok(()) => Reader::Present,
            Err(_) => Reader::Gone,
        }
    }

    /// Prints a note beside the result.
    pub(crate) fn note(self, text: &str) {
        eprintln!("{text}");
    }

    /// Prints why the command failed.
    pub(crate) fn problem(self, text: &str) {
        eprintln!("error: {text}");
    }
}

fn json(object: &impl Serialize) -> String {
    serde_json::to_string(object).unwrap_or_else(|_| Value::Null.to_string())
}
