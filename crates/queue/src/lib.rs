#![doc = include_str!("../README.md")]

mod backoff;
mod broker;
mod broker_state;
mod closing;
mod connection;
mod consumer;
mod dead_letter;
mod delivery;
mod error;
mod message;
mod oldest_message;
mod publisher;
mod queue_watch;
mod request;
mod settled;
mod subscription;
mod topology;
mod traffic;
mod wake_up;

pub use broker::Broker;
pub use broker_state::BrokerState;
pub use consumer::Consumer;
pub use dead_letter::{DeadLetterFacts, replays};
pub use delivery::Delivery;
pub use error::{AmqpError, BrokerError, PublishError, StartError};
pub use message::Message;
pub use publisher::{PUBLISHES_MAX, PublishLoad, Publisher};
pub use queue_watch::{QueueDepth, QueueReading};
pub use topology::{BadNamespace, Bounds, Target, Topology};
pub use wake_up::FailedWakeUp;
