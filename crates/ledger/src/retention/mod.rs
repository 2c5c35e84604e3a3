//! Removing bodies that nothing needs any more. The rows and digests of the bodies stay.

pub(crate) mod dead_letter_bodies;
pub(crate) mod event_bodies;
pub(crate) mod prune;
pub(crate) mod submission_bodies;

/// Most bodies that one transaction removes. The rows are locked meanwhile, and a worker that needs
/// one of them waits at most 2 s.
macro_rules! removed_at_once {
    () => {
        "200"
    };
}
pub(crate) use removed_at_once;

/// Most rows that one statement looks through.
macro_rules! looked_through_at_once {
    () => {
        "2000"
    };
}
pub(crate) use looked_through_at_once;

/// A statement that counts the bodies of a table that may go. It looks at the rows after `$1`.
///
/// `$old` and `$removable` are conditions on a row `b`. Ids rise with time, so the walk ends where
/// no row of a whole page is old.
macro_rules! count_bodies {
    ($table:literal, $old:expr, $removable:expr) => {
        concat!(
            $crate::retention::chosen_bodies!($table, $old, $removable),
            ")
        SELECT CASE WHEN (SELECT bool_or(old) FROM page) THEN (SELECT id FROM edge) END,
               count(*), coalesce(sum(bytes), 0)::bigint FROM chosen"
        )
    };
}
pub(crate) use count_bodies;

/// A statement that removes what [`count_bodies`] counts, but not more than one transaction should.
/// A row that somebody works on is left for the next run.
macro_rules! remove_bodies {
    ($table:literal, $old:expr, $removable:expr) => {
        concat!(
            $crate::retention::chosen_bodies!($table, $old, $removable),
            " ORDER BY b.id LIMIT ",
            $crate::retention::removed_at_once!(),
            " FOR NO KEY UPDATE SKIP LOCKED
        ), removed AS (
            UPDATE ",
            $table,
            " b SET body = NULL, body_sha256 = sha256(b.body), body_removed_at = now()
            FROM chosen c WHERE b.id = c.id RETURNING c.bytes
        )
        SELECT CASE WHEN (SELECT count(*) FROM chosen) = ",
            $crate::retention::removed_at_once!(),
            "
                        THEN (SELECT id FROM chosen ORDER BY id DESC LIMIT 1)
                    WHEN (SELECT bool_or(old) FROM page) THEN (SELECT id FROM edge) END,
               count(*), coalesce(sum(bytes), 0)::bigint FROM removed"
        )
    };
}
pub(crate) use remove_bodies;

macro_rules! chosen_bodies {
    ($table:literal, $old:expr, $removable:expr) => {
        concat!(
            "
        WITH page AS (
            SELECT b.id, ",
            $old,
            " AS old FROM ",
            $table,
            " b WHERE b.id > $1 ORDER BY b.id LIMIT ",
            $crate::retention::looked_through_at_once!(),
            "
        ), edge AS (SELECT id FROM page ORDER BY id DESC LIMIT 1
        ), chosen AS (
            SELECT b.id, octet_length(b.body) AS bytes FROM ",
            $table,
            " b
            WHERE b.id > $1 AND b.id <= (SELECT id FROM edge) AND b.body IS NOT NULL AND ",
            $old,
            " AND ",
            $removable
        )
    };
}
pub(crate) use chosen_bodies;
