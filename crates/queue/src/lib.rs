#![doc = include_str!("../README.md")]

mod broker;
mod consumer;
mod error;
mod lane_token;
mod link;
mod message;
mod pause;
mod publisher;
mod topology;

pub use broker::{Broker, BrokerState};
pub use consumer::{Consumer, Delivery};
pub use error::{BrokerError, Fault, PublishError, StartError};
pub use message::Message;
pub use publisher::{IN_FLIGHT_MAX, Publisher, WAITING_MAX};
pub use topology::{BadNamespace, Bounds, Target, Topology};
