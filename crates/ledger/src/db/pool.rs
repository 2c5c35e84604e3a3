//! Connections with a bound on everything: waiting for one, making one, and each statement on it.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use secrecy::{ExposeSecret, SecretString};
use tokio_postgres::{Client, Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(crate) use crate::db::connection::{Connection, Transaction};
use crate::db::error::LedgerError;
use crate::db::statements::statements;
use crate::db::tls::{Stream, Wish};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const POOL_WAIT: Duration = Duration::from_secs(5);
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Session limits of every pooled connection: a frozen process must not hold rows for ever (protocol C10).
const SESSION_OPTIONS: &str =
    "-c idle_in_transaction_session_timeout=5s -c lock_timeout=2s -c statement_timeout=10s";

/// The half of a client that moves bytes.
pub(crate) type Driver = tokio_postgres::Connection<Socket, Stream>;

statements! {
    TAKES_NO_WRITES = "SELECT current_setting('transaction_read_only')::bool";
    APPLIED_MIGRATIONS = "SELECT version, name, checksum FROM refinery_schema_history ORDER BY version";
}

/// How to reach the database.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    pub url: SecretString,
    /// Most connections held at once.
    pub pool_size: usize,
    /// Taken with `SET ROLE` on every connection, where it exists and may be taken.
    pub role: Option<&'static str>,
    /// Shown in `pg_stat_activity`.
    pub application_name: &'static str,
}

/// The database, as the programs know it. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Ledger {
    pool: Pool,
    settings: DatabaseSettings,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("application_name", &self.settings.application_name)
            .finish()
    }
}

impl Ledger {
    /// Reads the settings and connects to nothing yet.
    ///
    /// # Errors
    /// [`LedgerError::Setting`] for a URL that cannot be read, or one that demands TLS where nobody is trusted.
    pub fn open(settings: DatabaseSettings) -> Result<Self, LedgerError> {
        let (mut config, tls) = config(&settings.url, settings.application_name)?;
        with_session_options(&mut config);
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(config, tls, recycling);
        let mut builder = Pool::builder(manager)
            .max_size(settings.pool_size.max(1))
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .runtime(Runtime::Tokio1);
        if let Some(role) = settings.role {
            builder = builder.post_create(Hook::async_fn(move |client, _| {
                Box::pin(async move {
                    client
                        .batch_execute(&take_role(role))
                        .await
                        .map_err(HookError::Backend)
                })
            }));
        }
        let pool = builder
            .build()
            .map_err(|error| LedgerError::Setting(error.to_string()))?;
        Ok(Self { pool, settings })
    }

    /// One round trip: somebody is there and takes writes, which a standby after a fail-over does not.
    pub async fn check_writable(&self) -> Result<(), LedgerError> {
        let connection = self.connection().await?;
        if connection
            .query_one(TAKES_NO_WRITES, &[])
            .await?
            .try_get(0)?
        {
            connection.spoil();
            return Err(LedgerError::ReadOnly);
        }
        Ok(())
    }

    /// `Ok` when the database has exactly the migrations this program was built with.
    ///
    /// # Errors
    /// [`LedgerError::Schema`] says which migration is missing, unknown or different.
    pub async fn check_schema(&self) -> Result<(), LedgerError> {
        let connection = self.connection().await?;
        let rows = match connection.query(APPLIED_MIGRATIONS, &[]).await {
            Err(LedgerError::Refused(refusal)) if refusal.code == "42P01" => Vec::new(),
            other => other?,
        };
        let mut applied = Vec::with_capacity(rows.len());
        for row in rows {
            applied.push((
                row.try_get::<_, i32>(0)?,
                row.try_get::<_, String>(1)?,
                row.try_get::<_, String>(2)?,
            ));
        }
        crate::db::migrate::compare(&applied)
    }

    /// A pooled connection, waited for at most [`POOL_WAIT`].
    pub(crate) async fn connection(&self) -> Result<Connection, LedgerError> {
        let client = self.pool.get().await?;
        Ok(Connection::new(client))
    }

    /// A connection outside the pool, for LISTEN and for session locks (protocol C11), with the half of it
    /// that the caller has to poll. It has no session limits and no role yet (see [`Self::role_statement`]).
    pub(crate) async fn dedicated(&self) -> Result<(Client, Driver), LedgerError> {
        connect(&self.settings.url, self.settings.application_name).await
    }

    pub(crate) fn role_statement(&self) -> Option<String> {
        self.settings.role.map(take_role)
    }
}

/// One connection outside every pool.
pub(crate) async fn connect(
    url: &SecretString,
    application_name: &str,
) -> Result<(Client, Driver), LedgerError> {
    let (config, tls) = config(url, application_name)?;
    // The setting of that name ends with the TCP connection; a server may stay silent after it.
    match tokio::time::timeout(CONNECT_TIMEOUT, config.connect(tls)).await {
        Ok(connected) => connected.map_err(LedgerError::unreachable),
        Err(_) => Err(LedgerError::Unreachable("no connection in time".into())),
    }
}

/// Reads a connection string. Its text never enters an error: it holds a password.
pub(crate) fn config(
    url: &SecretString,
    application_name: &str,
) -> Result<(Config, MakeRustlsConnect), LedgerError> {
    let wish = Wish::read(url.expose_secret());
    let mut config: Config = wish.url.parse().map_err(|_| {
        LedgerError::Setting(
            "not a postgres connection string (postgres://user:password@host/db)".into(),
        )
    })?;
    config
        .application_name(application_name)
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives(true)
        .tcp_user_timeout(TCP_USER_TIMEOUT);
    Ok((config, wish.connector()?))
}

fn with_session_options(config: &mut Config) {
    let options = match config.get_options() {
        Some(given) => format!("{given} {SESSION_OPTIONS}"),
        None => SESSION_OPTIONS.to_owned(),
    };
    config.options(options);
}

/// `role` is a constant of ours, never input. A login that may not take the role keeps its own rights:
/// somebody gave it those on purpose.
fn take_role(role: &'static str) -> String {
    format!(
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN SET ROLE {role}; END IF;
         EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'may not take role {role}'; END $$"
    )
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
    fn session_limits_are_added_to_given_options() {
        let mut config = read("postgres://u@h/db?options=-c%20search_path%3Dx").unwrap();
        with_session_options(&mut config);
        let options = config.get_options().unwrap();
        assert!(options.starts_with("-c search_path=x "));
        assert!(options.contains("idle_in_transaction_session_timeout=5s"));
    }
}
