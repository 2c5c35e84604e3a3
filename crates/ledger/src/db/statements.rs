//! Every SQL text of the crate is a [`Statement`], declared by [`statements!`].
//!
//! Nothing else can be run on a pooled connection. So one test can prepare them all against the
//! migrated schema.

use std::time::Duration;

/// One fixed SQL text. A filter is a parameter (`$1::text IS NULL OR …`), never text pasted in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    /// The path of its constant. The text opens with it as a comment too, so that
    /// `pg_stat_activity` shows it.
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// Converts a duration to whole milliseconds, the unit in which statements take times.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Declares a module's statements as constants, and `STATEMENTS`, the list of them.
///
/// ```ignore
/// statements! {
///     MERCHANT_BY_SLUG = "SELECT id, name FROM merchants WHERE slug = $1";
/// }
/// connection.query_opt(MERCHANT_BY_SLUG, &[&slug]).await?
/// ```
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $(
            $(#[$doc])*
            const $name: $crate::db::statements::Statement = $crate::db::statements::Statement {
                name: concat!(module_path!(), "::", stringify!($name)),
                sql: concat!("-- ", module_path!(), "::", stringify!($name), "\n", $sql),
            };
        )+
        /// All statements of this module, for the list in `statement_checks::ALL`.
        #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that prepares every statement"))]
        pub(crate) const STATEMENTS: &[$crate::db::statements::Statement] = &[$($name),+];
    };
}
pub(crate) use statements;
