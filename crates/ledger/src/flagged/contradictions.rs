//! What contradicting messages tell, beside what the books have.
//!
//! The facts are read from the stored bodies. Nothing else of a body is told, so no payer.

use jiff::Timestamp;
use risiti_domain::{PaymentId, Provider};
use risiti_providers::{Account, BodyFormat, Channel, MoneyFacts, parse};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    /// What came under a known delivery key with other facts, beside the message that came first.
    /// Below them are flagged messages, beside the first message of the payment that is none.
    TOLD = "
        SELECT c.event_id, c.received_at, e.provider, e.kind, c.body, c.facts_sha256, e.kind, e.body, e.facts_sha256
        FROM events e JOIN event_conflicts c ON c.event_id = e.id
        WHERE e.payment_id = $1
        UNION ALL
        SELECT e.id, e.received_at, e.provider, e.kind, e.body, e.facts_sha256, first.kind, first.body, first.facts_sha256
        FROM events e CROSS JOIN LATERAL (
            SELECT f.kind, f.body, f.facts_sha256 FROM events f
            WHERE f.payment_id = $1 AND f.id <> e.id AND NOT f.conflict ORDER BY f.received_at, f.id LIMIT 1
        ) first
        WHERE e.payment_id = $1 AND e.conflict AND NOT EXISTS (SELECT FROM event_conflicts c WHERE c.event_id = e.id)
        ORDER BY 2, 1 LIMIT 20";
}

/// One message that contradicts another, with the facts that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    pub event_id: Uuid,
    pub received_at: Timestamp,
    pub told: Facts,
    /// What the message told that came first, by which the payment is recorded.
    pub books: Facts,
}

/// Those of the money facts that differ. An amount has its currency before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

impl Contradiction {
    /// The contradiction as JSON, with its text.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "event_id": self.event_id,
            "received_at": self.received_at,
            "told": self.told,
            "books": self.books,
            "text": self.text(),
        })
    }

    /// As in `2026-11-28T02:37:57Z told: KES 150.00; the books have KES 100.00`.
    pub fn text(&self) -> String {
        let (told, books) = (self.told.text(), self.books.text());
        format!(
            "{:.0} told: {told}; the books have {books}",
            self.received_at
        )
    }
}

impl Facts {
    fn text(&self) -> String {
        let receipt = self
            .receipt
            .as_ref()
            .map(|receipt| format!("receipt {receipt}"));
        let facts = [self.amount.clone(), self.outcome.clone(), receipt];
        facts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Ledger {
    /// Reads the oldest contradictions of a payment, at most 20. A message whose body is gone or
    /// cannot be read any more is left out.
    pub async fn contradictions(
        &self,
        payment: PaymentId,
    ) -> Result<Vec<Contradiction>, LedgerError> {
        let connection = self.connection().await?;
        let rows = connection.query(TOLD, &[&payment.uuid()]).await?;
        let mut contradictions = Vec::new();
        for row in &rows {
            contradictions.extend(contradiction(row)?);
        }
        Ok(contradictions)
    }
}

fn contradiction(row: &Row) -> Result<Option<Contradiction>, LedgerError> {
    let provider: &str = row.try_get(2)?;
    let Ok(provider) = provider.parse() else {
        return Ok(None);
    };
    let facts_at = |first: usize| -> Result<Option<MoneyFacts>, LedgerError> {
        let body: Option<&[u8]> = row.try_get(first + 1)?;
        let digest: &[u8] = row.try_get(first + 2)?;
        Ok(body.and_then(|body| facts(provider, row.try_get(first).ok()?, body, digest)))
    };
    let (Some(told), Some(books)) = (facts_at(3)?, facts_at(6)?) else {
        return Ok(None);
    };
    let (told, books) = differing(&told, &books);
    if told == books {
        return Ok(None);
    }
    Ok(Some(Contradiction {
        event_id: row.try_get(0)?,
        received_at: row.try_get(1)?,
        told,
        books,
    }))
}

/// Reads a body's facts. Its channel and format are not stored, so that it is read as each of the
/// provider's, until the facts are those whose digest is stored, or at least the kind is.
fn facts(provider: Provider, kind: &str, body: &[u8], digest: &[u8]) -> Option<MoneyFacts> {
    let account = Account::default();
    let channels = Channel::ALL.iter().filter(|of| of.provider() == provider);
    let events: Vec<_> = channels
        .flat_map(|channel| [BodyFormat::Json, BodyFormat::Form].map(|format| (*channel, format)))
        .filter_map(|(channel, format)| parse(channel, format, body, &account).ok())
        .collect();
    let by_digest = events.iter().find(|event| event.facts.digest() == digest);
    let by_kind = || events.iter().find(|event| event.kind == kind);
    by_digest.or_else(by_kind).map(|event| event.facts.clone())
}

fn differing(told: &MoneyFacts, books: &MoneyFacts) -> (Facts, Facts) {
    let of = |facts: &MoneyFacts| Facts {
        amount: (told.amount != books.amount).then(|| match facts.amount {
            Some(money) => format!("{} {:.2}", money.currency(), money.amount()),
            None => "no amount".to_owned(),
        }),
        outcome: (told.outcome != books.outcome).then(|| facts.outcome.replace('_', " ")),
        receipt: (told.receipt != books.receipt)
            .then(|| facts.receipt.clone().unwrap_or_else(|| "none".to_owned())),
    };
    (of(told), of(books))
}

#[cfg(test)]
mod tests {
    use risiti_domain::{Currency, Money, parse_amount};

    use super::*;

    fn told(amount: &str, outcome: &'static str) -> MoneyFacts {
        MoneyFacts {
            amount: Some(Money::new(parse_amount(amount).unwrap(), Currency::KES).unwrap()),
            outcome,
            receipt: Some("UIS4000001".to_owned()),
        }
    }

    #[test]
    fn only_facts_that_differ_are_told() {
        let (told, books) = differing(&told("150", "succeeded"), &told("100", "succeeded"));
        let contradiction = Contradiction {
            event_id: Uuid::nil(),
            received_at: "2026-11-28T02:37:57.4Z".parse().unwrap(),
            told,
            books,
        };
        assert_eq!(
            contradiction.text(),
            "2026-11-28T02:37:57Z told: KES 150.00; the books have KES 100.00"
        );
    }

    #[test]
    fn missing_fact_has_a_word() {
        let failed = MoneyFacts {
            amount: None,
            receipt: None,
            ..told("1", "failed")
        };
        let (told, books) = differing(&failed, &told("100", "succeeded"));
        assert_eq!(told.text(), "no amount, failed, receipt none");
        assert_eq!(books.text(), "KES 100.00, succeeded, receipt UIS4000001");
    }
}
