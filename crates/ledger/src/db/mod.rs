//! The database as every module uses it: connections, statements, migrations, secrets at rest.

pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod credentials;
pub(crate) mod error;
pub(crate) mod migrate;
pub(crate) mod pipeline;
pub(crate) mod pool;
pub(crate) mod session;
pub(crate) mod statements;
mod tls;
pub(crate) mod vault;
pub(crate) mod write_probe;
