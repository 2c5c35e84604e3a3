#![doc = include_str!("../README.md")]

mod bytes;
mod corpus;
mod damage;
mod json;
mod scalar;
mod targets;

pub use bytes::{Body, any_bytes, damage_bytes};
pub use corpus::corpus;
pub use damage::damage;
pub use json::Json;
pub use scalar::{CANARY, scalar};
pub use targets::{TARGETS, Target, config};
