use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// An entry was not stored, or nothing could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    #[error("the spool is full")]
    Full,
    /// Too many callers wait for the disk.
    #[error("too many callers wait for the spool")]
    Busy,
    /// The file is not open yet, or the disk failed. Opening is tried again in both cases.
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

/// What went wrong with the file, by what has to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreError {
    /// The file is closed and opened again after a pause.
    Disk(Arc<str>),
    /// The content cannot be trusted. The file is checked, and set aside if that fails too.
    Damaged(Arc<str>),
    /// A newer release wrote the file. It is left alone.
    Foreign(Arc<str>),
}

impl StoreError {
    pub(crate) fn why(&self) -> &Arc<str> {
        match self {
            Self::Disk(why) | Self::Damaged(why) | Self::Foreign(why) => why,
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        let why = error.to_string().into();
        match error.kind() {
            // redb answers so for a file that is not its own or is cut off.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Self::Damaged(why),
            _ => Self::Disk(why),
        }
    }
}

impl From<redb::Error> for StoreError {
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
        impl From<redb::$kind> for StoreError {
            fn from(error: redb::$kind) -> Self {
                redb::Error::from(error).into()
            }
        }
    )*};
}

through_redb_error!(DatabaseError TransactionError TableError StorageError CommitError);
