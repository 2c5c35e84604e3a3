//! A taxpayer's branch, which is how KRA identifies a device.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A PIN and a branch, written `P000000001A/00`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Branch {
    pub(crate) tin: String,
    pub(crate) bhf: String,
}

impl Branch {
    /// Whether `name` means this branch: it is either the PIN alone or `PIN/branch`.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.tin == name || self.to_string() == name
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tin, self.bhf)
    }
}
