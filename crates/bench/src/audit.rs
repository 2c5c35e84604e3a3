//! After each load, every payment that was answered 200 must exist exactly once.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use tokio_postgres::Client;

use crate::load::{number_in, number_of};

/// Longest wait for the next message of a queue that is not empty.
const NEXT_MESSAGE: Duration = Duration::from_secs(20);
const PREFETCH: u16 = 2_000;
/// One acknowledgement stands for this many messages.
const ACK_EVERY: u32 = 500;

/// What an audit found.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Payments that were answered 200.
    pub(crate) answered: u64,
    /// Answered 200 and found nowhere.
    pub(crate) lost: u64,
    /// Found more than once, whatever the answer was.
    pub(crate) doubled: u64,
}

impl Audit {
    /// Compares the payments that were answered 200 with those that were found.
    pub(crate) fn of(answered: Vec<u32>, found: Vec<u32>) -> Self {
        Self::of_both(answered, found, Vec::new())
    }

    /// The same where some wait in the queue. A worker that ends may give back what it has recorded,
    /// and the ledger knows it when it comes again.
    pub(crate) fn of_both(
        mut answered: Vec<u32>,
        mut found: Vec<u32>,
        mut waiting: Vec<u32>,
    ) -> Self {
        // A payment that was delivered twice was answered twice.
        answered.sort_unstable();
        answered.dedup();
        found.sort_unstable();
        let found_times = found.len();
        found.dedup();
        waiting.sort_unstable();

        let is_lost = |number: &&u32| {
            found.binary_search(number).is_err() && waiting.binary_search(number).is_err()
        };
        Self {
            answered: answered.len() as u64,
            lost: answered.iter().filter(is_lost).count() as u64,
            doubled: (found_times - found.len()) as u64,
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.lost += other.lost;
        self.doubled += other.doubled;
    }
}

/// Takes all messages out of a queue and returns the payments in them. Two messages with one id are
/// one event: ingress publishes a webhook and spools it when its confirm is late.
pub(crate) async fn empty_queue(amqp_url: &str, queue: &str) -> anyhow::Result<Vec<u32>> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await?;
    let count = declared.message_count();

    channel
        .basic_qos(PREFETCH, BasicQosOptions::default())
        .await?;
    let mut messages = channel
        .basic_consume(
            queue.into(),
            "audit".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    let mut found = Vec::with_capacity(count as usize);
    let mut events = HashSet::new();
    for place in 1..=count {
        let next = timeout(NEXT_MESSAGE, messages.next()).await;
        let Some(message) = next.with_context(|| format!("{queue} went silent"))? else {
            bail!("{queue} closed");
        };
        let message = message?;
        let event = message.properties.message_id().clone();
        if event.is_none_or(|event| events.insert(event)) {
            let number = number_in(&message.data);
            found.push(number.context("a message without a payment of this run")?);
        }
        if place % ACK_EVERY == 0 || place == count {
            let all_so_far = BasicAckOptions { multiple: true };
            message.acker.ack(all_so_far).await?;
        }
    }
    connection.close(200, "done".into()).await?;
    Ok(found)
}

/// Returns every payment that the ledger shows, as often as it shows it.
pub(crate) async fn recorded(client: &Client) -> anyhow::Result<Vec<u32>> {
    let statement = "SELECT receipt FROM report_payments WHERE receipt IS NOT NULL";
    let rows = client
        .query_raw(statement, std::iter::empty::<&str>())
        .await?;
    let numbers = rows
        .map_err(anyhow::Error::from)
        .and_then(async |row| number_of(row.get(0)).context("a payment that is not of this run"));
    numbers.try_collect().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_and_doubled_payments_are_counted() {
        let audit = Audit::of(vec![1, 2, 2, 3], vec![3, 2, 4, 4]);
        let expected = Audit {
            answered: 3,
            lost: 1,
            doubled: 1,
        };
        assert_eq!(audit, expected);
        assert!(!audit.is_clean());
    }

    #[test]
    fn what_was_found_without_an_answer_is_no_breach() {
        assert!(Audit::of(vec![1], vec![2, 1]).is_clean());
    }

    #[test]
    fn recorded_payment_may_wait_in_the_queue_too() {
        assert!(Audit::of_both(vec![1, 2], vec![1], vec![1, 2]).is_clean());
        assert_eq!(Audit::of_both(vec![1, 2], vec![1], vec![1]).lost, 1);
    }
}
