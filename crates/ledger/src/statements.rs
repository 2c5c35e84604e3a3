//! Every SQL text of the crate is a [`Statement`] declared by [`statements!`], and nothing else can be
//! run on a pooled connection. So one test prepares them all against the migrated schema.

/// One fixed SQL text. Filters are parameters (`$1::text IS NULL OR …`), never pasted text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement {
    /// Where it is declared. It opens the text as a comment too, so that `pg_stat_activity` shows it.
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
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
            const $name: $crate::statements::Statement = $crate::statements::Statement {
                name: concat!(module_path!(), "::", stringify!($name)),
                sql: concat!("-- ", module_path!(), "::", stringify!($name), "\n", $sql),
            };
        )+
        /// Listed in `statements::ALL`, whose test prepares each.
        #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that prepares every statement"))]
        pub(crate) const STATEMENTS: &[$crate::statements::Statement] = &[$($name),+];
    };
}
pub(crate) use statements;

/// Every module that declares statements. A test compares this list with the source files.
#[cfg(test)]
pub(crate) const ALL: &[&[Statement]] = &[
    crate::adoption::STATEMENTS,
    crate::credentials::STATEMENTS,
    crate::dead_letter_evidence::STATEMENTS,
    crate::dead_letter_list::STATEMENTS,
    crate::dead_letter_moves::STATEMENTS,
    crate::dead_letters::STATEMENTS,
    crate::by_hand::STATEMENTS,
    crate::device_admin::STATEMENTS,
    crate::device_changes::STATEMENTS,
    crate::devices::STATEMENTS,
    crate::events::STATEMENTS,
    crate::hosts::STATEMENTS,
    crate::lane_by_hand::STATEMENTS,
    crate::lane_gauges::STATEMENTS,
    crate::lane_resolve::STATEMENTS,
    crate::lane_settle::STATEMENTS,
    crate::lane_status::STATEMENTS,
    crate::lane_work::STATEMENTS,
    crate::lanes::STATEMENTS,
    crate::listen::STATEMENTS,
    crate::look_ups::STATEMENTS,
    crate::merchants::STATEMENTS,
    crate::owing::STATEMENTS,
    crate::payment_rows::STATEMENTS,
    crate::pool::STATEMENTS,
    crate::processes::STATEMENTS,
    crate::provider_accounts::STATEMENTS,
    crate::replay_runs::STATEMENTS,
    crate::reversal_rows::STATEMENTS,
    crate::stripes::STATEMENTS,
    crate::submissions::STATEMENTS,
    crate::suspects::STATEMENTS,
    crate::tokens::STATEMENTS,
    crate::wake::STATEMENTS,
    crate::verification::STATEMENTS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_statement_fits_the_migrated_schema() {
        let database = risiti_testkit::TestDatabase::create().await;
        crate::migrate(&database.url().into()).await.unwrap();
        let client = database.connect().await;
        for statement in ALL.iter().copied().flatten() {
            if let Err(error) = client.prepare(statement.sql).await {
                panic!(
                    "{}: {}",
                    statement.name,
                    error.as_db_error().map_or("no answer", |e| e.message())
                );
            }
        }
    }

    /// A module that declares statements and is not in `ALL` would escape the test that prepares them.
    #[test]
    fn every_declaring_module_is_listed() {
        let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut declaring = Vec::new();
        for entry in std::fs::read_dir(sources).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            if text.lines().any(|line| line.starts_with("statements! {")) {
                declaring.push(format!(
                    "risiti_ledger::{}::",
                    path.file_stem().unwrap().to_str().unwrap()
                ));
            }
        }
        for module in &declaring {
            assert!(
                ALL.iter()
                    .any(|list| list[0].name.starts_with(module.as_str())),
                "{module} is not in statements::ALL"
            );
        }
        assert_eq!(declaring.len(), ALL.len());
    }
}
