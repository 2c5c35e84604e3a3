//! The batch that is being collected.

use std::time::Duration;

use risiti_queue::{Consumer, Delivery};
use tokio::time::{Instant, timeout_at};

/// A batch is one transaction, and its parameters are in memory at once. So the size of its bodies
/// is bounded as well as their number.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Deliveries that wait for others to be recorded with them.
pub(crate) struct NextBatch {
    size_max: usize,
    wait: Duration,
    deliveries: Vec<Delivery>,
    bytes: usize,
    /// When it is begun although it is not full.
    due: Option<Instant>,
}

impl NextBatch {
    /// A batch of at most `size_max` deliveries, which waits at most for `wait` after the first.
    pub(crate) fn new(size_max: usize, wait: Duration) -> Self {
        Self {
            size_max,
            wait,
            deliveries: Vec::new(),
            bytes: 0,
            due: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Takes at least one delivery, and more for as long as the wait lasts and the batch is full
    /// neither by number nor by bytes. `None` means that the consumer has ended. Dropping the future
    /// loses nothing: what was taken stays here.
    pub(crate) async fn collect(&mut self, consumer: &mut Consumer) -> Option<Vec<Delivery>> {
        while self.deliveries.len() < self.size_max && self.bytes < BATCH_BYTES_MAX {
            let delivery = match self.due {
                None => consumer.next().await,
                Some(due) => match timeout_at(due, consumer.next()).await {
                    Ok(delivery) => delivery,
                    Err(_) => break,
                },
            };
            let Some(delivery) = delivery else { break };
            self.due.get_or_insert_with(|| Instant::now() + self.wait);
            self.bytes += delivery.message.body.len();
            self.deliveries.push(delivery);
        }
        self.bytes = 0;
        self.due = None;
        let batch = std::mem::take(&mut self.deliveries);
        (!batch.is_empty()).then_some(batch)
    }
}
