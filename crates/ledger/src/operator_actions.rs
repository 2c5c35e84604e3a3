//! What a person did with a command, and why.

use uuid::Uuid;

use crate::db::error::LedgerError;
use crate::db::pool::Transaction;
use crate::db::statements::statements;

statements! {
    ACTION = "INSERT INTO operator_actions (id, operator, command, reason, filter, matched, done, ended_at)
        VALUES ($1, $2, $3, $4, $5, 1, 1, now())";
}

/// Who does something by hand, and why: kept in `operator_actions`.
#[derive(Clone, Debug)]
pub struct OperatorAction {
    pub operator: String,
    pub reason: String,
}

impl Transaction<'_> {
    /// Keeps who did what to what by hand, and why.
    pub(crate) async fn record_action(
        &self,
        command: &str,
        by: &OperatorAction,
        subject: serde_json::Value,
    ) -> Result<(), LedgerError> {
        self.execute(
            ACTION,
            &[
                &Uuid::now_v7(),
                &by.operator,
                &command,
                &by.reason,
                &subject,
            ],
        )
        .await
        .map(drop)
    }
}
