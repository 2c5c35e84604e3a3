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
                previews.add(payment, preview);
            }
        }
        Ok(previews)
    }

    fn add(&mut self, payment: FlaggedPayment, preview: FlagPreview) {
        match preview {
            FlagPreview::WouldEnd { .. } => self.would += 1,
            FlagPreview::Refused(_) => self.would_refuse += 1,
            FlagPreview::Overtaken => return,
        }
        if self.shown.len() < SHOWN_MAX {
            self.shown.push((payment, preview));
        }
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use risiti_domain::{PaymentId, PaymentState, Provider};
    use risiti_ledger::Settling;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn payments_that_are_shown_are_bounded() {
        let payment = FlaggedPayment {
            payment_id: PaymentId::from_uuid(Uuid::nil()),
            merchant: "acme".to_owned(),
            provider: Provider::Daraja,
            state: PaymentState::Pending,
            amount: None,
            currency: None,
            receipt: None,
            short_code: None,
            reason: None,
            flagged_at: None,
            recorded_at: Timestamp::UNIX_EPOCH,
            settling: Settling::Nothing,
        };
        let mut previews = FlagPreviews::default();
        for _ in 0..SHOWN_MAX + 5 {
            previews.add(payment.clone(), FlagPreview::Refused("why"));
        }
        previews.add(payment, FlagPreview::Overtaken);
        assert_eq!(previews.shown.len(), SHOWN_MAX);
        let text = previews.text("settled");
        assert!(text.starts_with("25 matched: 0 would be settled, 25 would be refused."));
        assert!(
            text.ends_with("and 5 more: risiti-replay payments list"),
            "{text}"
        );
    }
}
