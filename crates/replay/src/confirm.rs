//! What a run would take, and the question before it.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use risiti_ledger::{CauseCount, DeadLetter, DeadLetterFilter, Ledger};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::list;
use crate::output::Output;

const SAMPLE: u32 = 5;

/// Count, causes and a sample.
pub(crate) struct Summary {
    causes: Vec<CauseCount>,
    sample: Vec<DeadLetter>,
    /// What the run would take up, its limit considered.
    pub(crate) matched: u64,
}

impl Summary {
    pub(crate) async fn of(
        ledger: &Ledger,
        filter: &DeadLetterFilter,
        limit: Option<u64>,
    ) -> Result<Self> {
        let causes = ledger.count_dead_letters(filter).await?;
        let sample = ledger.dead_letters(filter, None, SAMPLE).await?;
        let total: u64 = causes.iter().map(|cause| cause.count.unsigned_abs()).sum();
        Ok(Self {
            causes,
            sample,
            matched: total.min(limit.unwrap_or(u64::MAX)),
        })
    }

    pub(crate) fn text(&self) -> String {
        let mut lines = vec![format!("{} matched.", self.matched)];
        lines.extend(self.causes.iter().map(|cause| {
            let code = cause.code.as_deref().unwrap_or("no code");
            format!(
                "  {:>7}  {} ({code}), oldest of {:.0}",
                cause.count, cause.cause, cause.oldest
            )
        }));
        if !self.sample.is_empty() {
            lines.push("The oldest:".to_owned());
            lines.extend(
                self.sample
                    .iter()
                    .map(|letter| format!("  {}", list::row(letter))),
            );
        }
        lines.join("\n")
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "dry_run": true, "causes": self.causes, "sample": self.sample })
    }
}

/// Whether somebody can be asked.
pub(crate) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Ends a command that would have had to ask.
pub(crate) fn nobody_to_ask(out: Output) -> ExitCode {
    out.problem(
        "nobody can be asked here: say --yes, or --dry-run to look first; nothing was moved",
    );
    ExitCode::from(2)
}

/// True for a yes. A signal is a no.
pub(crate) async fn ask(question: String, shutdown: &CancellationToken) -> bool {
    let asking = tokio::task::spawn_blocking(move || {
        eprint!("{question} [y/N] ");
        std::io::stderr().flush().ok();
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).is_ok() && means_yes(&answer)
    });
    matches!(shutdown.run_until_cancelled(asking).await, Some(Ok(true)))
}

fn means_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(means_yes("y\n") && means_yes("YES"));
        assert!(!means_yes("\n") && !means_yes("n") && !means_yes("yep") && !means_yes(""));
    }
}
