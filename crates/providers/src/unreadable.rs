//! Why a body could not be read.

/// Names the field and what is wrong with it, and never holds a value from the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Unreadable {
    /// Path within the body, as the provider writes it: `Body.stkCallback.ResultCode`; `body` for the whole.
    pub field: String,
    pub problem: String,
}

impl Unreadable {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}
