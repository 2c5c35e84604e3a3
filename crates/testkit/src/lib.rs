#![doc = include_str!("../README.md")]

mod database;
mod http;
mod link;
mod namespace;
mod private;
mod process;
mod servers;
mod tls;
mod wait;

pub use database::{TestDatabase, empty_database};
pub use http::http_status;
pub use link::Link;
pub use namespace::{Namespace, messages_in};
pub use private::{PrivateServers, Server};
pub use process::{Process, Program};
pub use servers::{amqp_url, database_url, free_port, redis_url};
pub use tls::{Authority, TlsFront};
pub use wait::eventually;
