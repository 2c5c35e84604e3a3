//! The protocol as a specification small enough to be checked in every reachable state. See the README.

pub mod acknowledge;
pub mod calm;
pub mod lane;
pub mod token;
