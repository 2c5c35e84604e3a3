//! The protocol as specifications small enough to be checked in every reachable state. See the
//! README.

pub mod acknowledge;
pub mod cap;
pub mod lane;
pub mod settling;
pub mod wake_up;
