//! What a run would take, and the question that precedes it.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use risiti_ledger::{
    CauseCount, DeadLetter, DeadLetterFilter, DeadLetterScope, Ledger, ListOrder, WouldSend,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::EXIT_USAGE;
use crate::cli::{DRY_RUN_FLAG, YES_FLAG};
use crate::dead_letter_handler::PassKind;
use crate::list;
use crate::output::Output;

const SAMPLE_SIZE: u32 = 5;
/// Causes that a person is shown.
const GROUPS_MAX: usize = 20;

/// What a run would take: the count, the causes and a sample.
pub(crate) struct Summary {
    causes: Vec<CauseCount>,
    sample: Vec<DeadLetter>,
    unchanged: u64,
    would_send: Vec<WouldSend>,
    /// Discarded ones that match, where none that waits does.
    discarded: u64,
    /// How many the run would take, within its limit.
    pub(crate) matched: u64,
}

impl Summary {
    pub(crate) async fn of(
        ledger: &Ledger,
        filter: &DeadLetterFilter,
        limit: Option<u64>,
    ) -> Result<Self> {
        let causes = ledger.count_dead_letters(filter).await?;
        let sample = ledger
            .dead_letters(filter, ListOrder::OldestFirst, None, SAMPLE_SIZE)
            .await?;
        let unchanged = ledger.count_unchanged_refusals(filter).await?;
        let would_send = ledger.would_send(filter, limit).await?;
        let total = sum(&causes);
        let mut discarded = 0;
        let takes_open = matches!(
            filter.scope,
            DeadLetterScope::Waiting | DeadLetterScope::Replayable
        );
        if total == 0 && takes_open {
            let filter = DeadLetterFilter {
                scope: DeadLetterScope::Discarded,
                ..filter.clone()
            };
            discarded = sum(&ledger.count_dead_letters(&filter).await?);
        }
        Ok(Self {
            causes,
            sample,
            unchanged,
            would_send,
            discarded,
            matched: total.min(limit.unwrap_or(u64::MAX)),
        })
    }

    /// `kind` decides whether it matters what KRA will answer.
    pub(crate) fn text(&self, kind: PassKind) -> String {
        let mut lines = vec![format!("{} matched.", self.matched)];
        lines.extend(self.hint());
        lines.extend(self.causes.iter().take(GROUPS_MAX).map(|cause| {
            let code = cause.code.as_deref().unwrap_or("no code");
            let words = cause.message.as_deref().unwrap_or("no words");
            format!(
                "  {:>7}  {} ({code}), oldest of {:.0}: {words}",
                cause.count, cause.cause, cause.oldest
            )
        }));
        let more = self.causes.len().saturating_sub(GROUPS_MAX);
        if more > 0 {
            lines.push(format!("  and {more} other causes"));
        }
        if kind == PassKind::Replay {
            lines.extend(self.would_send.iter().take(GROUPS_MAX).map(would_send_text));
            let more = self.would_send.len().saturating_sub(GROUPS_MAX);
            if more > 0 {
                lines.push(format!("  and for {more} other devices"));
            }
        }
        if self.unchanged > 0 && kind == PassKind::Replay {
            lines.push(format!(
                "{} of them were refused, and their device was not changed since: unless something \
                 was corrected at KRA, they will be refused again.",
                self.unchanged
            ));
        }
        if !self.sample.is_empty() {
            lines.push("The oldest:".to_owned());
            lines.extend(
                self.sample
                    .iter()
                    .map(|dead_letter| format!("  {}", list::row(dead_letter))),
            );
        }
        lines.join("\n")
    }

    /// What else the filter could take, where nothing that waits matches.
    pub(crate) fn hint(&self) -> Option<String> {
        (self.discarded > 0).then(|| {
            let count = self.discarded;
            format!("{count} discarded ones match: --discarded takes those.")
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "dry_run": true,
            "causes": self.causes,
            "sample": self.sample,
            "unchanged_refusals": self.unchanged,
            "would_send": self.would_send,
            "discarded": self.discarded,
        })
    }
}

fn would_send_text(device: &WouldSend) -> String {
    let mut documents = Vec::new();
    if device.sales > 0 {
        documents.push(format!("{} sales of KES {:.2}", device.sales, device.sold));
    }
    if device.credit_notes > 0 {
        documents.push(format!(
            "{} credit notes of KES {:.2}",
            device.credit_notes, device.credited
        ));
    }
    let waiting = match device.credit_notes_that_wait {
        0 => String::new(),
        some => format!(", {some} credit notes once KRA has their sale"),
    };
    format!(
        "  would send for device {}: {}, under numbers from {} on{waiting}; its lane is {}",
        device.device_id,
        documents.join(" and "),
        device.next_invoice_no,
        device.lane_state,
    )
}

fn sum(causes: &[CauseCount]) -> u64 {
    causes.iter().map(|cause| cause.count.unsigned_abs()).sum()
}

/// The operator's answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
}

/// Whether there is a terminal, so that the operator can be asked.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Refuses a command that would have to ask.
pub(crate) fn refuse_without_terminal(out: Output) -> ExitCode {
    out.problem(&format!(
        "no terminal to ask on: give --{YES_FLAG}, or --{DRY_RUN_FLAG} to look first; \
         nothing was moved"
    ));
    ExitCode::from(EXIT_USAGE)
}

/// Asks the operator. A signal counts as no.
pub(crate) async fn ask(question: String, shutdown: &CancellationToken) -> Answer {
    let asking = tokio::task::spawn_blocking(move || {
        eprint!("{question} [y/N] ");
        std::io::stderr().flush().ok();
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).is_ok() && means_yes(&answer)
    });
    match shutdown.run_until_cancelled(asking).await {
        Some(Ok(true)) => Answer::Yes,
        _ => Answer::No,
    }
}

fn means_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_y_and_yes_mean_yes() {
        assert!(means_yes("y\n") && means_yes("YES"));
        assert!(!means_yes("\n") && !means_yes("n") && !means_yes("yep") && !means_yes(""));
    }
}
