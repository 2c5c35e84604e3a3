//! What can go wrong with Postgres. The variants differ in what a caller would do about them.

use std::error::Error as _;
use std::time::Duration;

use deadpool_postgres::{HookError, PoolError, TimeoutType};

use crate::db::vault::VaultError;

/// An error of the database, of its use, or of a setting that concerns it.
///
/// Messages are ours or Postgres' primary message, so they hold no value of a row. The server's
/// DETAIL line, which quotes keys, is dropped where errors enter.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is no usable connection. Nothing was asked of the database.
    #[error("postgres cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Every pooled connection stayed in use for the whole wait.
    #[error("no database connection became free in time")]
    PoolExhausted,
    /// No answer came in time. The statement may have happened, and its connection is closed
    /// (protocol C10).
    #[error("no answer from postgres within {0:?}")]
    Deadline(Duration),
    /// The connection broke during a statement, which may have happened.
    #[error("the connection to postgres broke")]
    Broken(#[source] tokio_postgres::Error),
    /// The server is a standby, or a primary that was told to take no writes.
    #[error("postgres takes no writes: it is a standby, or read-only")]
    ReadOnly,
    /// A pooler stands in front of the server that gives each transaction another session.
    #[error(
        "a transaction pooler stands in front of Postgres (PgBouncer with pool_mode=transaction, \
         Supabase's port 6543, Neon's -pooler host or the like): connect to Postgres itself, or to \
         a pooler in session mode"
    )]
    TransactionPooler,
    /// The server refused the statement.
    #[error("{0}")]
    Refused(Refusal),
    /// A parameter or a column was not of the type the code expects.
    #[error("a value does not fit its column")]
    Value(#[source] tokio_postgres::Error),
    /// A stored value is one that the code does not know.
    #[error("{table}.{column} of {row} holds a value that cannot be read")]
    Stored {
        table: &'static str,
        column: &'static str,
        row: String,
    },
    /// A guarded statement found the row in another state than it was read in.
    #[error("{table} {row} was moved by somebody else")]
    Moved { table: &'static str, row: String },
    /// A secret has to be opened or sealed, and no key was given.
    #[error(
        "no credentials key was given, and a secret has to be opened or sealed: set RISITI_CREDENTIALS_KEY"
    )]
    KeyMissing,
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("bad database setting: {0}")]
    Setting(String),
    #[error("the database schema does not match this program: {0}")]
    Schema(String),
    #[error("migration failed: {0}")]
    Migration(String),
}

/// An error answer of the server, without the DETAIL that would quote a row.
#[derive(Debug, Clone, thiserror::Error)]
#[error("postgres refused a statement with {code}: {message}")]
pub struct Refusal {
    pub code: String,
    pub message: String,
    pub constraint: Option<String>,
}

impl LedgerError {
    /// Whether the same statement can work later, because the error lies with the server, the
    /// network or this program's rights. An error of the row itself is not transient (protocol C3).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::PoolExhausted
            | Self::Deadline(_)
            | Self::Broken(_)
            | Self::ReadOnly
            | Self::TransactionPooler => true,
            Self::Refused(refusal) => is_transient_code(&refusal.code),
            Self::Value(_)
            | Self::Stored { .. }
            | Self::KeyMissing
            | Self::Vault(_)
            | Self::Moved { .. }
            | Self::Setting(_)
            | Self::Schema(_)
            | Self::Migration(_) => false,
        }
    }

    /// Whether the connection is of no more use, although another one may reach another server
    /// (protocol C10).
    ///
    /// The server behind it takes no writes (25006, after a fail-over) or is going away (57P01 to
    /// 57P05). Or what was prepared on it is of no more use (0A000, 26000), and a new connection
    /// prepares it again.
    pub(crate) fn ends_connection(&self) -> bool {
        match self {
            Self::ReadOnly => true,
            Self::Refused(refusal) => {
                ["25006", "0A000", "26000"].contains(&refusal.code.as_str())
                    || refusal.code.starts_with("57P0")
            }
            _ => false,
        }
    }

    /// Whether this is a deadlock (40P01). The whole transaction was rolled back and can be
    /// repeated at once (protocol C2).
    pub fn is_deadlock(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == "40P01")
    }

    /// The name of the constraint, unique index or trigger rule that refused the row.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.constraint.as_deref(),
            _ => None,
        }
    }
}

/// Whether an error code is never a row's fault (protocol C3). Every statement is a constant, so an
/// error of its text, its rights or its plan says nothing about the values it was given.
fn is_transient_code(code: &str) -> bool {
    const CLASSES: [&str; 14] = [
        "08", // The connection.
        "0A", // A plan that no longer fits the table, after a migration.
        "25", // The session's state: it takes no writes, or was ended for idling.
        "26", // A prepared statement that the server does not know, as behind a pooler.
        "28", // A login that is refused.
        "3D", // A missing database.
        "3F", // A missing schema.
        "40", // A serialization failure or a deadlock.
        "42", // A missing right, table, column or function.
        "53", // Disk, memory or connections are used up.
        "55", // A lock that was not to be had.
        "57", // The server is going away, or ended the statement.
        "58", // The server's own files.
        "F0", // The server's configuration.
    ];
    // Damaged tables and indexes. The rest of class XX may be a row's fault.
    const CODES: [&str; 2] = ["XX001", "XX002"];
    CLASSES.iter().any(|class| code.starts_with(class)) || CODES.contains(&code)
}

impl From<tokio_postgres::Error> for LedgerError {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(refusal) = refusal(&error) {
            return Self::Refused(refusal);
        }

        if is_of_the_connection(&error) {
            Self::Broken(error)
        } else {
            Self::Value(error)
        }
    }
}

/// How the pool's hook reports [`LedgerError::TransactionPooler`], for want of another type.
pub(crate) const TRANSACTION_POOLER: &str = "transaction pooler";

impl From<PoolError> for LedgerError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::PoolExhausted,
            PoolError::Backend(error) => Self::unreachable(error),
            PoolError::PostCreateHook(HookError::Message(message))
                if message == TRANSACTION_POOLER =>
            {
                Self::TransactionPooler
            }
            other => Self::Unreachable(other.to_string().into()),
        }
    }
}

impl LedgerError {
    /// Converts an error of connecting. Whatever the server answered, nothing was asked of it yet.
    pub(crate) fn unreachable(error: tokio_postgres::Error) -> Self {
        match refusal(&error) {
            Some(refusal) => Self::Unreachable(Box::new(refusal)),
            None => Self::Unreachable(Box::new(error)),
        }
    }
}

/// Whether the connection failed, rather than a value that went over it.
fn is_of_the_connection(error: &tokio_postgres::Error) -> bool {
    let has_io_source = || {
        error
            .source()
            .is_some_and(|source| source.is::<std::io::Error>())
    };
    // The driver keeps the kinds of its errors private, and this kind has no source either.
    let is_unexpected_message = || error.to_string().starts_with("unexpected message");
    error.is_closed() || has_io_source() || is_unexpected_message()
}

fn refusal(error: &tokio_postgres::Error) -> Option<Refusal> {
    error.as_db_error().map(|answer| Refusal {
        code: answer.code().code().to_owned(),
        message: answer.message().to_owned(),
        constraint: answer.constraint().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str) -> LedgerError {
        LedgerError::Refused(Refusal {
            code: code.to_owned(),
            message: "no".to_owned(),
            constraint: None,
        })
    }

    #[test]
    fn server_errors_are_transient() {
        for code in [
            "08006", "40001", "40P01", "53300", "55P03", "57P01", "57014", "25006", "25P03",
            "28P01", "42501", "58030", "58P01", "XX001", "XX002", "42703", "42883", "42P01",
            "0A000", "26000", "3D000", "3F000", "25P02", "F0000",
        ] {
            assert!(refused(code).is_transient(), "{code}");
        }
        assert!(LedgerError::Deadline(Duration::from_secs(12)).is_transient());
        assert!(LedgerError::PoolExhausted.is_transient());
    }

    #[test]
    fn row_errors_are_not_transient() {
        for code in [
            "22001", "22P02", "23505", "23514", "23001", "P0001", "XX000",
        ] {
            assert!(!refused(code).is_transient(), "{code}");
        }
    }

    #[test]
    fn a_useless_connection_ends() {
        for code in ["25006", "57P01", "57P02", "57P03", "0A000", "26000"] {
            assert!(refused(code).ends_connection(), "{code}");
        }
        for code in ["57014", "40P01", "23505"] {
            assert!(!refused(code).ends_connection(), "{code}");
        }
    }

    #[test]
    fn only_40p01_is_a_deadlock() {
        assert!(refused("40P01").is_deadlock());
        assert!(!refused("40001").is_deadlock());
    }
}
