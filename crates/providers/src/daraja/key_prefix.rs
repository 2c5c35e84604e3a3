//! First parts of the delivery keys of messages that carry no checkout id.

pub(super) const VALIDATION: &str = "validation";
pub(super) const CONFIRMATION: &str = "confirmation";
pub(super) const TIMEOUT: &str = "timeout";

// The prefix of a result is its kind as well.
pub(super) const B2C_RESULT: &str = "b2c_result";
pub(super) const REVERSAL_RESULT: &str = "reversal_result";
pub(super) const STATUS_RESULT: &str = "status_result";
pub(super) const OTHER_RESULT: &str = "other_result";

/// Every prefix. The key of an STK callback starts with its checkout id, which must be none of
/// these.
pub(super) const ALL: [&str; 7] = [
    VALIDATION,
    CONFIRMATION,
    TIMEOUT,
    B2C_RESULT,
    REVERSAL_RESULT,
    STATUS_RESULT,
    OTHER_RESULT,
];
