//! What the etims-worker exports of what waits for a person: flagged payments, and dead letters that
//! are messages. Both statements read only what is open, by a partial index.

use std::collections::BTreeMap;

use risiti_domain::DeadCause;

use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;

statements! {
    FLAGGED = "
        SELECT count(*), coalesce(max(greatest(0, extract(epoch FROM now() - p.flagged_at))), 0)::bigint
        FROM payments p WHERE p.conflict AND p.state <> 'folded'";
    /// Counted by merchant first, so that one merchant's pile shows.
    MESSAGES = "
        SELECT pile.cause, sum(pile.count)::bigint, max(pile.oldest)::bigint, max(pile.count)
        FROM (SELECT d.cause, count(*) AS count, max(greatest(0, extract(epoch FROM now() - d.dead_at))) AS oldest
              FROM dead_letters d WHERE d.solved_at IS NULL AND d.cause IN ('unreadable', 'poison')
              GROUP BY d.cause, d.merchant_id) pile
        GROUP BY pile.cause";
}

/// How many things wait for a person, and how long the oldest of them has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingForAPerson {
    pub count: i64,
    /// 0 when there is none.
    pub oldest_seconds: i64,
}

/// Dead letters that are messages, of one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenMessages {
    pub waiting: WaitingForAPerson,
    /// How many of them are of the merchant that has the most.
    pub most_of_one_merchant: i64,
}

impl Ledger {
    /// Counts flagged payments.
    pub async fn flagged_waiting(&self) -> Result<WaitingForAPerson, LedgerError> {
        let rows = self.reading(FLAGGED).await?;
        let Some(row) = rows.first() else {
            return Ok(WaitingForAPerson::default());
        };
        Ok(WaitingForAPerson {
            count: row.try_get(0)?,
            oldest_seconds: row.try_get(1)?,
        })
    }

    /// Counts open dead letters that are messages. A cause without one is missing.
    pub async fn messages_waiting(&self) -> Result<BTreeMap<DeadCause, OpenMessages>, LedgerError> {
        let mut waiting = BTreeMap::new();
        for row in self.reading(MESSAGES).await? {
            if let Ok(cause) = row.try_get::<_, &str>(0)?.parse() {
                let all = WaitingForAPerson {
                    count: row.try_get(1)?,
                    oldest_seconds: row.try_get(2)?,
                };
                let of_cause = OpenMessages {
                    waiting: all,
                    most_of_one_merchant: row.try_get(3)?,
                };
                waiting.insert(cause, of_cause);
            }
        }
        Ok(waiting)
    }
}
