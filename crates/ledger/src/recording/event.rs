//! Events as the queue delivers them, and how each delivery compares with what is stored.

use std::collections::{HashMap, HashSet};
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, CredentialId, EventId, MerchantId, PaymentId, Provider};
use risiti_providers::Event;

/// One message from `[payments]`, parsed.
#[derive(Clone)]
pub struct IncomingEvent {
    pub id: EventId,
    pub merchant: MerchantId,
    pub provider: Provider,
    pub authenticated_by: AuthenticatedBy,
    /// The credential that let the webhook in.
    pub credential: Option<CredentialId>,
    pub received_at: Timestamp,
    /// The W3C trace id of the webhook's request.
    pub trace_id: Option<String>,
    /// The provider's bytes.
    pub body: Bytes,
    pub event: Event,
}

impl fmt::Debug for IncomingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingEvent")
            .field("id", &self.id)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// How a delivered message compares with what is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delivery {
    New,
    /// The queue delivered the same message again. It was recorded, but its acknowledgement was
    /// lost.
    Redelivered,
    /// The provider sent the same event again.
    Duplicate,
    /// The provider sent other facts under the same delivery key. Nothing moves, and a person has
    /// to look.
    Conflict,
}

/// Identifies one message of a provider. All keys are per merchant and provider (protocol C1).
pub(crate) type DeliveryKey<'a> = (MerchantId, Provider, &'a str);

impl IncomingEvent {
    pub(crate) fn key(&self) -> DeliveryKey<'_> {
        (self.merchant, self.provider, &self.event.delivery_key)
    }
}

/// Which payment an event is about, and whether a person has to look at the event.
#[derive(Clone, Copy)]
pub(crate) struct EventUpdate {
    pub(crate) event: EventId,
    pub(crate) payment: Option<PaymentId>,
    pub(crate) flagged: bool,
}

/// The event that is stored under a delivery key.
#[derive(Clone, Copy)]
pub(crate) struct StoredEvent {
    pub(crate) id: EventId,
    pub(crate) facts: [u8; 32],
    /// When the transaction that stored it began. It tells that transaction from all others.
    pub(crate) recorded_at: Timestamp,
}

/// The events that the delivery keys of a batch lead to: those that are stored, and else the first
/// of each key in the batch.
pub(crate) struct KnownEvents<'a> {
    stored: HashMap<DeliveryKey<'a>, StoredEvent>,
    firsts: HashMap<DeliveryKey<'a>, &'a IncomingEvent>,
}

impl<'a> KnownEvents<'a> {
    pub(crate) fn new(
        batch: &'a [IncomingEvent],
        stored: HashMap<DeliveryKey<'a>, StoredEvent>,
    ) -> Self {
        let mut firsts: HashMap<DeliveryKey<'a>, &'a IncomingEvent> = HashMap::new();
        for event in batch {
            let first = firsts.entry(event.key()).or_insert(event);
            if event.id < first.id {
                *first = event;
            }
        }
        Self { stored, firsts }
    }

    /// Compares each event of the batch with the event that its delivery key leads to.
    pub(crate) fn compare(&self, batch: &[IncomingEvent]) -> Vec<Delivery> {
        let mut seen = HashSet::new();
        let mut deliveries = Vec::with_capacity(batch.len());
        for event in batch {
            // A batch may hold one message twice, and of the two only the first is new.
            let is_repeated = !seen.insert(event.id);
            deliveries.push(if is_repeated {
                Delivery::Redelivered
            } else {
                self.delivery(event)
            });
        }
        deliveries
    }

    /// The id that the event's delivery key is stored under, or will be.
    pub(crate) fn id(&self, event: &IncomingEvent) -> EventId {
        let key = event.key();
        self.stored
            .get(&key)
            .map_or_else(|| self.firsts[&key].id, |stored| stored.id)
    }

    /// When the event was stored, if it was.
    pub(crate) fn recorded_at(&self, event: &IncomingEvent) -> Option<Timestamp> {
        self.stored
            .get(&event.key())
            .map(|stored| stored.recorded_at)
    }

    fn delivery(&self, event: &IncomingEvent) -> Delivery {
        let key = event.key();
        let (is_new, is_same_message, has_same_facts) = match self.stored.get(&key) {
            Some(stored) => (
                false,
                stored.id == event.id,
                stored.facts == event.event.facts.digest(),
            ),
            None => {
                let first = self.firsts[&key];
                (
                    first.id == event.id,
                    false,
                    first.event.facts == event.event.facts,
                )
            }
        };
        match (is_new, is_same_message, has_same_facts) {
            (true, _, _) => Delivery::New,
            (_, true, _) => Delivery::Redelivered,
            (_, _, true) => Delivery::Duplicate,
            (_, _, false) => Delivery::Conflict,
        }
    }
}
