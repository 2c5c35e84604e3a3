//! What a command prints: text for a person, or JSON for a program, never both.

use std::io::Write as _;

use serde::Serialize;
use serde_json::Value;

/// Where results go (standard output) and where remarks go (standard error).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// One line of a list, or the result of a command. False when nobody reads any more.
    pub(crate) fn line(self, object: &impl Serialize, text: impl FnOnce() -> String) -> bool {
        let line = if self.json { json(object) } else { text() };
        writeln!(std::io::stdout().lock(), "{line}").is_ok()
    }

    /// Said beside the result.
    pub(crate) fn note(self, text: &str) {
        eprintln!("{text}");
    }

    pub(crate) fn problem(self, text: &str) {
        eprintln!("error: {text}");
    }
}

fn json(object: &impl Serialize) -> String {
    serde_json::to_string(object).unwrap_or_else(|_| Value::Null.to_string())
}
