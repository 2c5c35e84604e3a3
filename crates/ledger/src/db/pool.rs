//! The pool of connections. Waiting for one, making one and each statement on it are bounded in
//! time.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use secrecy::SecretString;
use tokio_postgres::Client;

use crate::db::connect::{CONNECT_TIMEOUT, Driver, config, connect};
pub(crate) use crate::db::connection::{Connection, Transaction};
use crate::db::error::{LedgerError, TRANSACTION_POOLER};
use crate::db::migrate;
use crate::db::session::{self, SessionCheck};
use crate::db::statements::statements;

const POOL_WAIT: Duration = Duration::from_secs(5);

statements! {
    TAKES_NO_WRITES = "SELECT current_setting('transaction_read_only')::bool";
    APPLIED_MIGRATIONS = "SELECT version, name, checksum FROM refinery_schema_history ORDER BY version";
}

/// How to reach the database.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    pub url: SecretString,
    /// The most connections held at once.
    pub pool_size: usize,
    /// The role that every connection takes with `SET ROLE`, where it exists and the login may take
    /// it.
    pub role: Option<&'static str>,
    /// The name shown in `pg_stat_activity`.
    pub application_name: &'static str,
}

/// The database, as the programs know it. It is cheap to clone, and all clones share one pool.
#[derive(Clone)]
pub struct Ledger {
    pool: Pool,
    settings: DatabaseSettings,
    sessions: SessionCheck,
    operator: Option<Arc<str>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("application_name", &self.settings.application_name)
            .finish()
    }
}

impl Ledger {
    /// Reads the settings. It does not connect yet.
    ///
    /// # Errors
    /// [`LedgerError::Setting`] when the URL cannot be read, or when it demands TLS and no root
    /// certificate is trusted.
    pub fn open(settings: DatabaseSettings) -> Result<Self, LedgerError> {
        let (config, tls) = config(&settings.url, settings.application_name)?;
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(config, tls, recycling);
        let sessions = SessionCheck::default();
        let pool = Pool::builder(manager)
            .max_size(settings.pool_size.max(1))
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .post_create(prepare_session(&settings, &sessions))
            .build()
            .map_err(|error| LedgerError::Setting(error.to_string()))?;

        Ok(Self {
            pool,
            settings,
            sessions,
            operator: None,
        })
    }

    /// The same ledger, whose changes of merchants, gateways, secrets and devices are recorded as
    /// this person's.
    #[must_use]
    pub fn on_behalf_of(mut self, operator: &str) -> Self {
        self.operator = Some(operator.into());
        self
    }

    /// Who makes the changes: the person, else the program.
    pub(crate) fn operator(&self) -> &str {
        self.operator
            .as_deref()
            .unwrap_or(self.settings.application_name)
    }

    /// Checks in one round trip that the server answers and takes writes. A standby does not, which
    /// is what a connection may lead to after a fail-over.
    pub async fn check_writable(&self) -> Result<(), LedgerError> {
        let connection = self.connection().await?;
        if connection
            .query_one(TAKES_NO_WRITES, &[])
            .await?
            .try_get(0)?
        {
            connection.mark_broken();
            return Err(LedgerError::ReadOnly);
        }
        Ok(())
    }

    /// Checks that the database has exactly the migrations this program was built with.
    ///
    /// # Errors
    /// [`LedgerError::Schema`] says which migration is missing, unknown or different.
    pub async fn check_schema(&self) -> Result<(), LedgerError> {
        let connection = self.connection().await?;
        let rows = match connection.query(APPLIED_MIGRATIONS, &[]).await {
            // 42P01: nothing was ever migrated, so not even the table of migrations is there.
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
        migrate::compare(&applied)
    }

    /// Takes a pooled connection and waits for one at most [`POOL_WAIT`].
    pub(crate) async fn connection(&self) -> Result<Connection, LedgerError> {
        let client = self.pool.get().await?;
        Ok(Connection::new(client))
    }

    /// Opens a connection outside the pool, for LISTEN and for session locks (protocol C11). The
    /// caller has to poll the driver. The connection has no session limits and no role yet (see
    /// [`Self::role_statement`]), and nobody has checked that it keeps its session (see
    /// [`Self::check_session`]).
    pub(crate) async fn dedicated(&self) -> Result<(Client, Driver), LedgerError> {
        connect(&self.settings.url, self.settings.application_name).await
    }

    /// Checks that a dedicated connection, which somebody polls already, keeps its session.
    ///
    /// # Errors
    /// [`LedgerError::TransactionPooler`] when it does not.
    pub(crate) async fn check_session(&self, client: &Client) -> Result<(), LedgerError> {
        self.sessions.run(client, &self.settings.url).await
    }

    pub(crate) fn role_statement(&self) -> Option<String> {
        self.settings.role.map(take_role)
    }
}

/// What is done once with each new connection: the check of sessions, then limits and role.
fn prepare_session(settings: &DatabaseSettings, sessions: &SessionCheck) -> Hook {
    let mut statements = session::LIMITS.to_owned();
    if let Some(role) = settings.role {
        statements += ";\n";
        statements += &take_role(role);
    }
    let statements: Arc<str> = statements.into();
    let url = settings.url.clone();
    let sessions = sessions.clone();

    Hook::async_fn(move |client, _| {
        let statements = Arc::clone(&statements);
        let url = url.clone();
        let sessions = sessions.clone();
        Box::pin(async move {
            if sessions.run(client, &url).await.is_err() {
                return Err(HookError::message(TRANSACTION_POOLER));
            }
            let preparing = client.batch_execute(&statements);
            match tokio::time::timeout(CONNECT_TIMEOUT, preparing).await {
                Ok(prepared) => prepared.map_err(HookError::Backend),
                Err(_) => Err(HookError::message(
                    "no answer from a new connection in time",
                )),
            }
        })
    })
}

/// The statement that takes a role. `role` is a constant of ours, never input.
///
/// A login that may not take the role keeps its own rights: somebody gave it those on purpose.
fn take_role(role: &'static str) -> String {
    format!(
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN SET ROLE {role}; END IF;
         EXCEPTION WHEN insufficient_privilege THEN RAISE NOTICE 'may not take role {role}'; END $$"
    )
}
