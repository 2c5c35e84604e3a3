//! What is modelled of one webhook: its deliveries, where its key and its message are, and what is
//! recorded of it.

/// Where one delivery of the webhook stands in a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    None,
    /// The replica looks for the key.
    Looking,
    /// The message is published without a confirm so far. It may be stored or not.
    Publishing,
    /// The queue has the message, and the key is not remembered yet.
    Queued,
    /// Only the spool is known to have the message, and the key is not remembered yet.
    Spooled,
    /// The key is remembered, and the webhook is not answered yet. Redis is to learn of it if a queue
    /// has the message.
    Remembered {
        in_queue: bool,
    },
    /// The webhook is answered, and Redis has no mark of it yet.
    Unmarked,
}

/// Where a ledger worker stands with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LedgerWorker {
    Idle,
    Took,
    Committed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AcknowledgeState {
    /// How often the provider may still send it.
    pub sends: u8,
    pub deliveries: [Delivery; 2],
    /// Whether each replica has the key in its memory.
    pub memory: [bool; 2],
    /// Whether Redis has the key.
    pub redis: bool,
    pub answered: bool,
    pub spooled: u8,
    pub queued: u8,
    pub workers: [LedgerWorker; 2],
    pub events: u8,
    pub invoices: u8,
}

impl AcknowledgeState {
    pub(super) fn new(sends: u8) -> Self {
        Self {
            sends,
            deliveries: [Delivery::None; 2],
            memory: [false; 2],
            redis: false,
            answered: false,
            spooled: 0,
            queued: 0,
            workers: [LedgerWorker::Idle; 2],
            events: 0,
            invoices: 0,
        }
    }

    /// Queued messages that no worker has taken.
    pub(super) fn ready(&self) -> usize {
        let taken = self
            .workers
            .iter()
            .filter(|worker| **worker != LedgerWorker::Idle)
            .count();
        usize::from(self.queued).saturating_sub(taken)
    }

    /// Whether nothing is under way and an answered webhook is recorded once.
    pub(super) fn is_settled(&self) -> bool {
        let idle =
            self.deliveries == [Delivery::None; 2] && self.workers == [LedgerWorker::Idle; 2];
        idle && self.queued == 0
            && self.spooled == 0
            && (!self.answered || (self.events, self.invoices) == (1, 1))
    }
}
