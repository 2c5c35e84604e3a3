#![doc = include_str!("../README.md")]

mod broker;
mod consumer;
mod dead_letter;
mod error;

mod link;
mod message;
mod pause;
mod publisher;
mod topology;
mod wake_up;

pub use broker::{Broker, BrokerState};
pub use consumer::{Consumer, Delivery};
pub use dead_letter::{DeadLetterFacts, replays};
pub use error::{BrokerError, Fault, PublishError, StartError};
pub use message::Message;
pub use publisher::{IN_FLIGHT_MAX, Publisher, WAITING_MAX};
pub use topology::{BadNamespace, Bounds, Target, Topology};
pub use wake_up::FailedWakeUp;
