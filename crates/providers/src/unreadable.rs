//! The error of a body that could not be read.

/// Says which field could not be read and why. It never holds a value from the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Unreadable {
    /// Path within the body as the provider writes it, such as `Body.stkCallback.ResultCode`. For
    /// the body as a whole it is `body`.
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
