//! What a person did with a command, and why.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;

statements! {
    ACTION = "INSERT INTO operator_actions (id, operator, command, reason, filter, changes, matched, done, ended_at)
        VALUES ($1, $2, $3, $4, $5, $6, 1, 1, now())";
}

/// Who does something by hand, and why. The table `operator_actions` keeps both.
#[derive(Clone, Debug)]
pub struct OperatorAction {
    pub operator: String,
    pub reason: String,
}

/// Whether a command changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandMode {
    Run,
    /// It shows what a run would do, and changes nothing.
    DryRun,
}

impl CommandMode {
    pub fn from_dry_run(dry_run: bool) -> Self {
        if dry_run { Self::DryRun } else { Self::Run }
    }

    /// Commits what the command did, or rolls it back.
    pub(crate) async fn end(self, transaction: Transaction<'_>) -> Result<(), LedgerError> {
        match self {
            Self::Run => transaction.commit().await,
            Self::DryRun => {
                drop(transaction);
                Ok(())
            }
        }
    }
}

/// One change as the audit keeps it.
pub(crate) struct RecordedChange<'a> {
    pub(crate) operator: &'a str,
    pub(crate) reason: Option<&'a str>,
    /// What was changed, such as `{"merchant": "acme"}`.
    pub(crate) subject: Value,
    /// Old and new values, as [`differences`] makes them. Never a secret.
    pub(crate) changes: Value,
}

impl Transaction<'_> {
    /// Writes down what was changed, with old and new values.
    pub(crate) async fn record_change(
        &self,
        command: &str,
        change: RecordedChange<'_>,
    ) -> Result<(), LedgerError> {
        let changes = Some(change.changes).filter(|changes| !changes.is_null());
        self.execute(
            ACTION,
            &[
                &Uuid::now_v7(),
                &change.operator,
                &command,
                &change.reason,
                &change.subject,
                &changes,
            ],
        )
        .await
        .map(drop)
    }
}

/// The fields that differ between two objects, each as `[old, new]`. A missing field is null. Of
/// those in `secret` only the fact is kept.
pub(crate) fn differences(old: &Value, new: &Value, secret: &[&str]) -> Value {
    let keys = |of: &Value| of.as_object().cloned().unwrap_or_default();
    let fields: Map<String, Value> = keys(old).into_iter().chain(keys(new)).collect();
    let changed = fields.into_iter().filter_map(|(field, _)| {
        let (before, after) = (&old[&field], &new[&field]);
        if before == after {
            return None;
        }
        let change = if secret.contains(&field.as_str()) {
            json!("changed")
        } else {
            json!([before, after])
        };
        Some((field, change))
    });
    Value::Object(changed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_old_and_new_values() {
        let old = json!({"serial": "SN1", "branch": "00"});
        let new = json!({"serial": "SN2", "branch": "00", "sdc_id": "K1"});
        let expected = json!({"serial": ["SN1", "SN2"], "sdc_id": [null, "K1"]});
        assert_eq!(differences(&old, &new, &[]), expected);
        assert_eq!(
            differences(&Value::Null, &json!({"slug": "acme"}), &[]),
            json!({"slug": [null, "acme"]})
        );
    }

    #[test]
    fn secret_is_only_said_to_be_changed() {
        let old = json!({"cmc_key": "digest 1"});
        let new = json!({"cmc_key": "digest 2"});
        assert_eq!(
            differences(&old, &new, &["cmc_key"]),
            json!({"cmc_key": "changed"})
        );
    }
}
