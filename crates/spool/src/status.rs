use std::sync::Arc;
use std::time::SystemTime;

/// Whether entries are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Still being opened and checked.
    #[default]
    Opening,
    Writable,
    /// The last entry offered did not fit, and nothing was removed since.
    Full,
    /// Closed after trouble with the disk; tried again.
    Failing(Arc<str>),
    /// The file is of a newer release. Stays so.
    Foreign(Arc<str>),
    Closed,
}

/// How the spool stands; changes are told through [`Spool::status`](crate::Spool::status).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub condition: Condition,
    /// Entries not removed yet, and their bytes.
    pub entries: u64,
    pub bytes: u64,
    /// When the oldest of them was appended.
    pub oldest: Option<SystemTime>,
    /// Transactions written to disk since the start.
    pub commits: u64,
    /// Entries that were offered and not stored, since the start: for want of room, and for trouble with the disk.
    pub refused_full: u64,
    pub refused_disk: u64,
    /// Damaged files that lie beside the spool.
    pub damaged_files: u64,
}
