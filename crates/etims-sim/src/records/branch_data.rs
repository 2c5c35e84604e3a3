//! What a branch has saved of its customers, users and insurances.

use crate::records::kept::{Kept, Row};

/// Each by its own number or code.
#[derive(Debug, Default)]
pub(crate) struct BranchData {
    pub(crate) customers: Kept<String, Row>,
    /// Without their passwords.
    pub(crate) users: Kept<String, Row>,
    pub(crate) insurances: Kept<String, Row>,
}
