#![doc = include_str!("../README.md")]

mod byte_damage;
mod corpus;
mod json;
mod json_damage;
mod scalar;
mod targets;

pub use byte_damage::{Body, any_bytes, damage_bytes};
pub use corpus::corpus;
pub use json::Json;
pub use json_damage::damage;
pub use scalar::{CANARY, scalar};
pub use targets::{TARGETS, Target, config};
