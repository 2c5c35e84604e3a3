//! What `payments settle` or `dismiss` would do, by the same checks that the real command makes.

use anyhow::Result;
use risiti_ledger::{FlagDecision, FlagPreview, FlaggedFilter, FlaggedPayment, Ledger};
use serde_json::{Value, json};

use crate::payments::{FlaggedPages, heading, row};

/// Payments that are shown. The others are only counted.
const SHOWN_MAX: usize = 20;

/// What would become of each payment that a filter takes.
#[derive(Default)]
pub(crate) struct FlagPreviews {
    /// How many would be decided.
    pub(crate) would: u64,
    would_refuse: u64,
    shown: Vec<(FlaggedPayment, FlagPreview)>,
}

impl FlagPreviews {
    pub(crate) async fn of(
        ledger: &Ledger,
        filter: &FlaggedFilter,
        decision: &FlagDecision,
    ) -> Result<Self> {
        let mut previews = Self::default();
        let mut pages = FlaggedPages::new(ledger, filter);
        while let Some(page) = pages.next().await? {
            for payment in page {
                let preview = ledger
                    .preview_flag_end(payment.payment_id, decision)
                    .await?;
                match preview {
                    FlagPreview::WouldEnd { .. } => previews.would += 1,
                    FlagPreview::Refused(_) => previews.would_refuse += 1,
                    FlagPreview::Overtaken => continue,
                }
                if previews.shown.len() < SHOWN_MAX {
                    previews.shown.push((payment, preview));
                }
            }
        }
        Ok(previews)
    }

    fn matched(&self) -> u64 {
        self.would + self.would_refuse
    }

    pub(crate) fn text(&self, done: &str) -> String {
        let mut lines = vec![format!(
            "{} matched: {} would be {done}, {} would be refused.",
            self.matched(),
            self.would,
            self.would_refuse
        )];
        if !self.shown.is_empty() {
            lines.push(heading());
        }
        for (payment, preview) in &self.shown {
            lines.push(row(payment));
            lines.push(format!("  {}", outcome(preview, done)));
        }
        let more = self.matched() - self.shown.len() as u64;
        if more > 0 {
            lines.push(format!("and {more} more: risiti-replay payments list"));
        }
        lines.join("\n")
    }

    pub(crate) fn json(&self) -> Value {
        let previews: Vec<Value> = self.shown.iter().map(preview_json).collect();
        let sample: Vec<&FlaggedPayment> = self.shown.iter().map(|(payment, _)| payment).collect();
        json!({
            "dry_run": true,
            "matched": self.matched(),
            "would_be_decided": self.would,
            "would_be_refused": self.would_refuse,
            "sample": sample,
            "previews": previews,
        })
    }
}

fn outcome(preview: &FlagPreview, done: &str) -> String {
    match preview {
        FlagPreview::WouldEnd { from, to, credited } => {
            let credited = match credited {
                Some(sum) => format!(", would credit {} {:.2}", sum.currency(), sum.amount()),
                None => String::new(),
            };
            format!("would be {done}, {from} → {to}{credited}")
        }
        FlagPreview::Refused(why) => format!("would not be {done}: {why}"),
        FlagPreview::Overtaken => "is not flagged any more".to_owned(),
    }
}

fn preview_json((payment, preview): &(FlaggedPayment, FlagPreview)) -> Value {
    let id = payment.payment_id;
    match preview {
        FlagPreview::WouldEnd { from, to, credited } => json!({
            "payment_id": id,
            "from": from,
            "to": to,
            "credited": credited.map(|sum| sum.amount()),
        }),
        FlagPreview::Refused(why) => json!({ "payment_id": id, "refused": why }),
        FlagPreview::Overtaken => json!({ "payment_id": id }),
    }
}
