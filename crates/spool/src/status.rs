use std::sync::Arc;
use std::time::SystemTime;

/// Whether the spool takes entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// The file is being opened and checked.
    #[default]
    Opening,
    Writable,
    /// The last entry offered did not fit, and nothing has been removed since.
    Full,
    /// The disk failed. The spool tries again.
    Failing(Arc<str>),
    /// A newer release wrote the file. The spool does not try again.
    Foreign(Arc<str>),
    Closed,
}

/// What the spool holds and whether it takes more. [`Spool::status`](crate::Spool::status) reports
/// every change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub condition: Condition,
    /// Entries that are not removed yet.
    pub entries: u64,
    /// The bytes of those entries.
    pub bytes: u64,
    /// When the oldest of them was appended.
    pub oldest: Option<SystemTime>,
    /// Transactions written to disk since the start.
    pub commits: u64,
    /// Entries refused since the start because the spool was full.
    pub refused_full: u64,
    /// Entries refused since the start because the disk failed.
    pub refused_disk: u64,
    /// Damaged files that lie beside the spool.
    pub damaged_files: u64,
}
