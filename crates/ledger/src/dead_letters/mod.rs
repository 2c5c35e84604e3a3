//! Dead letters: keeping them, showing them, replaying and discarding them.

pub(crate) mod discard_waiting;
pub(crate) mod evidence;
pub(crate) mod groups;
pub(crate) mod insert;
pub(crate) mod insert_many;
pub(crate) mod list;
pub(crate) mod moves;
pub(crate) mod not_dead;
pub(crate) mod replay_lock;
pub(crate) mod runs;
pub(crate) mod waiting;
pub(crate) mod would_send;
