//! The exchanges and queues of one namespace, with fixed arguments (protocol B1, B2).

use std::sync::Arc;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::BrokerError;

/// Delivery limit of queues that need none. A negative value means different things by version
/// (protocol B1).
const DELIVERIES_UNLIMITED: i32 = 1_000_000;

/// The queue that a message goes to or comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Webhooks for the ledger.
    Payments,
    /// Webhooks that were delivered too often.
    Suspects,
    /// Wake-ups of lanes. They are hints, so the oldest are dropped when there are too many.
    Lanes,
    /// Dead letters, which have an exchange of their own.
    Dead,
}

impl Target {
    pub(crate) const ALL: [Self; 4] = [Self::Payments, Self::Suspects, Self::Lanes, Self::Dead];

    /// Returns the routing key, which is also the last part of the queue's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Suspects => "suspects",
            Self::Lanes => "lanes",
            Self::Dead => "dead",
        }
    }
}

/// The bounds of the queues. The arguments of a queue never change, so other bounds need another
/// namespace (protocol B1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Messages in each of `payments`, `suspects` and `dead`. Beyond it, publishes are refused.
    pub kept_max: i32,
    /// Deliveries of one message in `payments`. Beyond it, the message moves to `suspects`.
    pub payment_deliveries_max: i32,
    /// Messages in `lanes`. Beyond it, the oldest are dropped.
    pub lanes_max: i32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            kept_max: 5_000_000,
            payment_deliveries_max: 5,
            lanes_max: 100_000,
        }
    }
}

/// The namespace is not 1 to 60 characters of `a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a namespace is 1 to 60 of a-z 0-9 . _ -")]
pub struct BadNamespace;

/// The exchanges and queues of one namespace, which no other namespace uses. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct Topology(Arc<Names>);

#[derive(Debug)]
struct Names {
    exchange: String,
    dead_letters: String,
    payments: String,
    suspects: String,
    lanes: String,
    dead: String,
    bounds: Bounds,
}

impl Topology {
    /// Makes the topology of a namespace.
    ///
    /// # Errors
    /// The namespace is empty, longer than 60 characters, or has others than `a-z 0-9 . _ -`.
    pub fn new(namespace: &str) -> Result<Self, BadNamespace> {
        Self::with_bounds(namespace, Bounds::default())
    }

    /// Makes the topology with other bounds. Tests need bounds small enough to be reached.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn with_bounds(namespace: &str, bounds: Bounds) -> Result<Self, BadNamespace> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if !(1..=60).contains(&namespace.len()) || !namespace.chars().all(legal) {
            return Err(BadNamespace);
        }
        let queue = |target: Target| format!("{namespace}.{}", target.as_str());
        Ok(Self(Arc::new(Names {
            exchange: namespace.into(),
            dead_letters: format!("{namespace}.dead-letters"),
            payments: queue(Target::Payments),
            suspects: queue(Target::Suspects),
            lanes: queue(Target::Lanes),
            dead: queue(Target::Dead),
            bounds,
        })))
    }

    /// Returns the queue of a target.
    #[must_use]
    pub fn queue(&self, target: Target) -> &str {
        match target {
            Target::Payments => &self.0.payments,
            Target::Suspects => &self.0.suspects,
            Target::Lanes => &self.0.lanes,
            Target::Dead => &self.0.dead,
        }
    }

    /// Returns the exchange that leads to a target's queue.
    #[must_use]
    pub fn exchange(&self, target: Target) -> &str {
        match target {
            Target::Dead => &self.0.dead_letters,
            _ => &self.0.exchange,
        }
    }

    /// Declares all exchanges and queues. Repeating it changes nothing.
    pub(crate) async fn declare(&self, channel: &Channel) -> Result<(), BrokerError> {
        for exchange in [&self.0.exchange, &self.0.dead_letters] {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..Default::default()
            };
            channel
                .exchange_declare(
                    exchange.as_str().into(),
                    ExchangeKind::Direct,
                    options,
                    FieldTable::default(),
                )
                .await
                .map_err(|e| BrokerError::Declare {
                    what: format!("exchange {exchange}"),
                    source: e.into(),
                })?;
        }
        for target in Target::ALL {
            self.declare_queue(channel, target)
                .await
                .map_err(|e| BrokerError::Declare {
                    what: format!("queue {}", self.queue(target)),
                    source: e.into(),
                })?;
        }
        Ok(())
    }

    async fn declare_queue(&self, channel: &Channel, target: Target) -> lapin::Result<()> {
        let queue = self.queue(target);
        let exchange = self.exchange(target);
        let options = QueueDeclareOptions::durable();
        channel
            .queue_declare(queue.into(), options, self.arguments(target))
            .await?;

        let key = target.as_str().into();
        channel
            .queue_bind(
                queue.into(),
                exchange.into(),
                key,
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
    }

    fn arguments(&self, target: Target) -> FieldTable {
        let bounds = self.0.bounds;
        let mut arguments = FieldTable::default();
        let mut text = |name: &str, value: &str| {
            arguments.insert(name.into(), AMQPValue::LongString(value.into()));
        };
        text("x-queue-type", "quorum");
        let (deliveries_max, length_max) = match target {
            Target::Payments => {
                // At-least-once needs reject-publish beside it. Without it, the broker degrades
                // silently. The routing key leads away from this queue, so that no dead letter
                // comes back to it.
                text("x-dead-letter-exchange", &self.0.exchange);
                text("x-dead-letter-routing-key", Target::Suspects.as_str());
                text("x-dead-letter-strategy", "at-least-once");
                text("x-overflow", "reject-publish");
                (bounds.payment_deliveries_max, bounds.kept_max)
            }
            Target::Lanes => {
                text("x-overflow", "drop-head");
                (DELIVERIES_UNLIMITED, bounds.lanes_max)
            }
            Target::Suspects | Target::Dead => {
                text("x-overflow", "reject-publish");
                (DELIVERIES_UNLIMITED, bounds.kept_max)
            }
        };
        arguments.insert(
            "x-delivery-limit".into(),
            AMQPValue::LongInt(deliveries_max),
        );
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(length_max));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_start_with_the_namespace() {
        let topology = Topology::new("risiti").unwrap();
        assert_eq!(
            Target::ALL.map(|t| topology.queue(t)),
            [
                "risiti.payments",
                "risiti.suspects",
                "risiti.lanes",
                "risiti.dead"
            ]
        );
        assert_eq!(topology.exchange(Target::Payments), "risiti");
        assert_eq!(topology.exchange(Target::Dead), "risiti.dead-letters");
    }

    #[test]
    fn namespace_that_could_break_a_name_is_refused() {
        assert!(Topology::new(&"n".repeat(60)).is_ok());
        for bad in ["", "Upper", "a/b", "a b", "é", &"n".repeat(61)] {
            assert_eq!(Topology::new(bad).err(), Some(BadNamespace), "{bad}");
        }
    }

    #[test]
    fn delivery_limits_are_positive_and_only_payments_dead_letters() {
        let topology = Topology::new("risiti").unwrap();
        for target in Target::ALL {
            let arguments = topology.arguments(target);
            let Some(AMQPValue::LongInt(limit)) = arguments.inner().get("x-delivery-limit") else {
                panic!("{target:?} has no delivery limit")
            };
            assert!(*limit > 0);
            assert!(
                arguments.contains_key("x-max-length"),
                "{target:?} has no bound"
            );
            assert_eq!(
                arguments.contains_key("x-dead-letter-exchange"),
                target == Target::Payments
            );
        }
    }
}
