//! What a person did with a command, and why.

use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;

statements! {
    ACTION = "INSERT INTO operator_actions (id, operator, command, reason, filter, matched, done, ended_at)
        VALUES ($1, $2, $3, $4, $5, 1, 1, now())";
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

impl Transaction<'_> {
    /// Writes down what was done to which subject, by whom and why.
    pub(crate) async fn record_action(
        &self,
        command: &str,
        action: &OperatorAction,
        subject: serde_json::Value,
    ) -> Result<(), LedgerError> {
        self.execute(
            ACTION,
            &[
                &Uuid::now_v7(),
                &action.operator,
                &command,
                &action.reason,
                &subject,
            ],
        )
        .await
        .map(drop)
    }
}
