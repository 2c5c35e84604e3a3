//! What one run of the program printed.

use std::process::Output;

use serde_json::Value;

/// The program's output and its exit code.
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl CommandOutput {
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Returns the JSON values that were printed, one a line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Returns `[matched, done, skipped, failed]` of the one line that a run prints.
    #[track_caller]
    pub(crate) fn counts(&self, done: &str) -> [u64; 4] {
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{}", self.stdout);
        ["matched", done, "skipped", "failed"].map(|key| lines[0][key].as_u64().unwrap())
    }
}
