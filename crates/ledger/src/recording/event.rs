//! Events as the queue delivers them, and how each delivery compares with what is stored.

use std::collections::{HashMap, HashSet};
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use risiti_domain::{AuthenticatedBy, EventId, MerchantId, PaymentId, Provider};
use risiti_providers::Event;

/// One message from `[payments]`, parsed.
#[derive(Clone)]
pub struct IncomingEvent {
    pub id: EventId,
    pub merchant: MerchantId,
    pub provider: Provider,
    pub authenticated_by: AuthenticatedBy,
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
}

impl StoredEvent {
    pub(crate) fn of(event: &IncomingEvent) -> Self {
        Self {
            id: event.id,
            facts: event.event.facts.digest(),
        }
    }
}

/// The first message of each delivery key, in the order of the keys.
pub(crate) fn firsts(batch: &[IncomingEvent]) -> Vec<&IncomingEvent> {
    let mut events: Vec<&IncomingEvent> = batch.iter().collect();
    events.sort_by(|a, b| (a.key(), a.id).cmp(&(b.key(), b.id)));
    events.dedup_by_key(|event| event.key());
    events
}

/// Compares each event of the batch with the event that its delivery key is stored under.
pub(crate) fn compare(
    batch: &[IncomingEvent],
    inserted: &HashSet<EventId>,
    by_key: &HashMap<DeliveryKey<'_>, StoredEvent>,
) -> Vec<Delivery> {
    let mut seen = HashSet::new();
    let mut deliveries = Vec::with_capacity(batch.len());
    for event in batch {
        let stored = by_key[&event.key()];
        let first_time = seen.insert(event.id);
        let is_stored = event.id == stored.id;

        // A batch may hold one message twice, and of the two only the first is new.
        deliveries.push(if is_stored && first_time && inserted.contains(&event.id) {
            Delivery::New
        } else if is_stored || !first_time {
            Delivery::Redelivered
        } else if event.event.facts.digest() == stored.facts {
            Delivery::Duplicate
        } else {
            Delivery::Conflict
        });
    }
    deliveries
}
