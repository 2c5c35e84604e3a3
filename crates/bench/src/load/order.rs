//! Which webhook is sent when. Each payment of a run has a number, and no two share one.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers reserved for a load that ends by time: more than any machine answers in a minute.
const BLOCK: u32 = 2_000_000;

/// Hands out the numbers of a whole run.
pub(crate) struct Numbers(Cell<u32>);

impl Numbers {
    pub(crate) fn new() -> Self {
        Self(Cell::new(1))
    }

    /// Different payments for as long as the load lasts.
    pub(crate) fn distinct(&self) -> Order {
        self.order(BLOCK, None)
    }

    /// This many different payments, each once.
    pub(crate) fn count(&self, payments: u32) -> Order {
        self.order(payments, Some(payments.into()))
    }

    /// This many different payments, each delivered in so many bursts of so many webhooks. Every
    /// payment has its first burst before any has its second.
    pub(crate) fn repeated(&self, payments: u32, bursts: u32, burst: u32) -> Order {
        let total = u64::from(payments) * u64::from(bursts) * u64::from(burst);
        Order {
            burst: burst.into(),
            ..self.order(payments, Some(total))
        }
    }

    /// One payment again and again for as long as the load lasts.
    pub(crate) fn same(&self) -> Order {
        self.order(1, None)
    }

    fn order(&self, payments: u32, total: Option<u64>) -> Order {
        let first = self.0.get();
        self.0.set(first + payments);
        Order {
            first,
            payments,
            burst: 1,
            total,
            sent: AtomicU64::new(0),
        }
    }
}

/// The numbers of one load, in the order in which they are sent. Shared by its threads.
pub(crate) struct Order {
    first: u32,
    payments: u32,
    /// Webhooks of one payment in a row.
    burst: u64,
    total: Option<u64>,
    sent: AtomicU64,
}

impl Order {
    /// The same payments once more.
    pub(crate) fn again(&self) -> Order {
        Order {
            first: self.first,
            payments: self.payments,
            burst: self.burst,
            total: self.total,
            sent: AtomicU64::new(0),
        }
    }

    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// Returns the place in the order and the number of the next webhook, until all were taken.
    pub(crate) fn next(&self) -> Option<(u64, u32)> {
        let place = self.sent.fetch_add(1, Ordering::Relaxed);
        if self.total.is_some_and(|total| place >= total) {
            return None;
        }
        let number = self.first + (place / self.burst % u64::from(self.payments)) as u32;
        Some((place, number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(order: &Order) -> Vec<u32> {
        std::iter::from_fn(|| order.next())
            .map(|(_, number)| number)
            .collect()
    }

    #[test]
    fn orders_of_a_run_share_no_number() {
        let numbers = Numbers::new();
        assert_eq!(all(&numbers.count(3)), [1, 2, 3]);
        assert_eq!(all(&numbers.repeated(2, 2, 2)), [4, 4, 5, 5, 4, 4, 5, 5]);

        let same = numbers.same();
        assert_eq!([same.next(), same.next()], [Some((0, 6)), Some((1, 6))]);
        assert_eq!(numbers.distinct().next(), Some((0, 7)));
    }
}
