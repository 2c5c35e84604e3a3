use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// An entry was not stored, or nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    #[error("the spool is full")]
    Full,
    /// Too many callers wait for the disk.
    #[error("too many wait for the spool")]
    Busy,
    /// Not opened yet, or the disk failed; both are tried again.
    #[error("the spool cannot be used: {0}")]
    Disk(Arc<str>),
    #[error("the spool is closed")]
    Closed,
}

/// The spool cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{0} is held by another process")]
    Locked(PathBuf),
    #[error("failed to start the spool's thread")]
    Thread(#[source] io::Error),
}

/// What went wrong below, by what it calls for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Close, wait, open again.
    Disk(Arc<str>),
    /// What is stored cannot be trusted.
    Damaged(Arc<str>),
    /// Written by a release that knows more than this one.
    Foreign(Arc<str>),
}

impl Trouble {
    pub(crate) fn why(&self) -> &Arc<str> {
        match self {
            Self::Disk(why) | Self::Damaged(why) | Self::Foreign(why) => why,
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        let why = error.to_string().into();
        match error.kind() {
            // redb says so of a file that is none of its own, or is cut short.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Damaged(why),
            _ => Self::Disk(why),
        }
    }
}

impl From<redb::Error> for Trouble {
    fn from(error: redb::Error) -> Self {
        use redb::Error::{
            Corrupted, Io, TableDoesNotExist, TableIsMultimap, TableTypeMismatch,
            TypeDefinitionChanged, UpgradeRequired,
        };
        let why = || Arc::from(error.to_string());
        match error {
            Io(error) => error.into(),
            Corrupted(_)
            | TableTypeMismatch { .. }
            | TypeDefinitionChanged { .. }
            | TableIsMultimap(_)
            | TableDoesNotExist(_) => Self::Damaged(why()),
            UpgradeRequired(_) => Self::Foreign(why()),
            _ => Self::Disk(why()),
        }
    }
}

macro_rules! through_redb_error {
    ($($kind:ident)*) => {$(
        impl From<redb::$kind> for Trouble {
            fn from(error: redb::$kind) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

through_redb_error!(DatabaseError TransactionError TableError StorageError CommitError);
