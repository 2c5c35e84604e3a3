//! Reading a connection string and connecting with it, as the pool and everything beside the pool
//! does.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::{Client, Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::db::error::LedgerError;
use crate::db::tls::{ConnectionString, Stream};

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// The half of a client that moves bytes. The client works only while somebody polls this half.
pub(crate) type Driver = tokio_postgres::Connection<Socket, Stream>;

/// Opens one connection that belongs to no pool.
pub(crate) async fn connect(
    url: &SecretString,
    application_name: &str,
) -> Result<(Client, Driver), LedgerError> {
    let (config, tls) = config(url, application_name)?;

    // The driver's own connect timeout ends with the TCP handshake. A server may fall silent after
    // it.
    match tokio::time::timeout(CONNECT_TIMEOUT, config.connect(tls)).await {
        Ok(connected) => connected.map_err(LedgerError::unreachable),
        Err(_) => Err(LedgerError::Unreachable("no connection in time".into())),
    }
}

/// Reads a connection string. Its text never enters an error, because it holds a password.
pub(crate) fn config(
    url: &SecretString,
    application_name: &str,
) -> Result<(Config, MakeRustlsConnect), LedgerError> {
    let connection_string = ConnectionString::parse(url.expose_secret());
    let mut config: Config = connection_string.url.parse().map_err(|_| {
        LedgerError::Setting(
            "not a postgres connection string (postgres://user:password@host/db)".into(),
        )
    })?;
    config
        .application_name(application_name)
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives(true)
        .tcp_user_timeout(TCP_USER_TIMEOUT);
    Ok((config, connection_string.connector()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Config, LedgerError> {
        config(&SecretString::from(url), "test").map(|(config, _)| config)
    }

    #[test]
    fn a_bad_url_is_not_quoted() {
        let error = read("postgres://user:hunter2@[::1/db").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn unknown_ssl_mode_is_left_for_the_parser_to_refuse() {
        let connection_string = ConnectionString::parse("postgres://h/db?sslmode=allow");
        assert!(connection_string.url.contains("sslmode=allow"));
        assert!(read(&connection_string.url).is_err());
    }
}
