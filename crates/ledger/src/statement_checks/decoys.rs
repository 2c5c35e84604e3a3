//! What a session can put before the tables of the schema, and that no function falls for it.
//!
//! Of `pg_temp` it is not enough to say nothing in a search path: it then comes first.

use tokio_postgres::Client;

use super::migrated;
use super::roles::{REPORT, ROLES};
use super::schema_story::{ONLY_REFUSE, SET_UP, STORY};

/// A temporary view for each table and view, owned by whoever runs this. Reading one and writing to
/// one is an error of its own.
const MAKE_DECOYS: &str = "
    DO $decoys$
    DECLARE
        made record;
    BEGIN
        CREATE FUNCTION pg_temp.touched() RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'a decoy was touched as %', current_user USING ERRCODE = 'DECOY';
        END $$;
        FOR made IN
            SELECT c.relname, string_agg(format('NULL::%s AS %I', format_type(a.atttypid, a.atttypmod), a.attname), ', '
                ORDER BY a.attnum) AS columns
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v') GROUP BY c.relname
        LOOP
            EXECUTE format('CREATE TEMPORARY VIEW %I AS SELECT %s FROM generate_series(1, 1) WHERE pg_temp.touched()',
                made.relname, made.columns);
        END LOOP;
    END $decoys$";

/// The functions of the schema that a session could deceive, and those that somebody else may run
/// although nobody has to.
const UNSAFE_FUNCTIONS: &str = "
    SELECT p.proname || ': ' || CASE WHEN r.may IS NULL THEN 'no safe path' ELSE 'open to ' || r.may END
    FROM pg_proc p LEFT JOIN unnest($1::text[]) AS r (may)
        ON has_function_privilege(r.may, p.oid, 'EXECUTE')
        AND (p.prosecdef OR p.prorettype = 'trigger'::regtype OR p.proname ~ $2 AND p.proname <> 'columns_but')
        AND (p.proname, r.may) <> ('probe_writes', 'risiti_ledger_worker')
    WHERE p.pronamespace = 'public'::regnamespace
      AND (r.may IS NOT NULL OR NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=public, pg_temp'])
    ORDER BY 1";

/// For each function that the story has to call: its name, and the statement that makes each call of
/// it an error of its own.
const TRAPS: &str = "
    SELECT p.proname::text, format('CREATE OR REPLACE FUNCTION %s(%s) RETURNS %s LANGUAGE plpgsql AS $trap$
            BEGIN RAISE EXCEPTION ''called'' USING ERRCODE = ''TRAPS''; END $trap$',
        p.oid::regproc, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid))
    FROM pg_proc p
    WHERE p.pronamespace = 'public'::regnamespace AND p.proname !~ $1 AND p.proname <> ALL($2) ORDER BY 1";

async fn unsafe_functions(client: &Client) -> Vec<String> {
    let roles: Vec<&str> = ROLES.into_iter().chain([REPORT]).collect();
    let rows = client
        .query(UNSAFE_FUNCTIONS, &[&roles, &SET_UP])
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

fn code(error: &tokio_postgres::Error) -> &str {
    error.code().map_or("", |code| code.code())
}

/// A view of decoys cannot be written to, which has a code of its own.
fn is_touch(error: &tokio_postgres::Error) -> bool {
    ["DECOY", "55000"].contains(&code(error))
}

#[tokio::test]
async fn every_function_names_its_path_and_is_nobodys_to_attach() {
    let (_database, client) = migrated().await;
    assert_eq!(unsafe_functions(&client).await, [""; 0]);
}

/// A function that is added or replaced without a path is found, and `migrate` protects it.
#[tokio::test]
async fn function_without_a_path_is_found_and_protected() {
    let (database, client) = migrated().await;
    client
        .batch_execute(
            "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN END $$;
             CREATE OR REPLACE FUNCTION lane_has_work(device uuid) RETURNS boolean LANGUAGE sql STABLE
                AS 'SELECT false'",
        )
        .await
        .unwrap();
    let mut expected: Vec<String> = ROLES
        .into_iter()
        .chain([REPORT])
        .map(|role| format!("later: open to {role}"))
        .collect();
    expected.push("lane_has_work: no safe path".to_owned());
    expected.sort();
    assert_eq!(unsafe_functions(&client).await, expected);

    crate::migrate(&database.url().into()).await.unwrap();
    assert_eq!(unsafe_functions(&client).await, [""; 0]);
}

/// Plays the attack as each role, in a database whose owner left everybody the right to make
/// temporary tables. What the role may not do, the owner does in the same session.
#[tokio::test]
async fn no_trigger_or_function_touches_a_sessions_own_tables() {
    let (_database, client) = migrated().await;
    client
        .batch_execute(
            "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()); END $$",
        )
        .await
        .unwrap();

    for role in ROLES.into_iter().chain([REPORT]) {
        let begin = format!("BEGIN; SET LOCAL ROLE {role}; {MAKE_DECOYS}; RESET ROLE");
        client.batch_execute(&begin).await.unwrap();

        let mut touched = Vec::new();
        for statement in STORY {
            let as_role = format!("SAVEPOINT s; SET LOCAL ROLE {role}; {statement}; RESET ROLE");
            let Err(error) = client.batch_execute(&as_role).await else {
                continue;
            };
            client.batch_execute("ROLLBACK TO s").await.unwrap();
            if is_touch(&error) {
                touched.push(format!("{role}: {statement}"));
                continue;
            }
            assert_eq!(code(&error), "42501", "{role}: {statement}: {error:?}");
            match client.batch_execute(statement).await {
                Ok(()) => {}
                Err(error) if is_touch(&error) => {
                    touched.push(format!("owner in a session of {role}: {statement}"));
                    client.batch_execute("ROLLBACK TO s").await.unwrap();
                }
                Err(error) => panic!("{statement}: {error:?}"),
            }
        }
        assert!(touched.is_empty(), "{}", touched.join("\n"));
        client.batch_execute("ROLLBACK").await.unwrap();
    }
}

/// A function that is added later has to be called by the story as well.
#[tokio::test]
async fn story_calls_every_function() {
    let (_database, client) = migrated().await;
    let traps = client.query(TRAPS, &[&SET_UP, &ONLY_REFUSE]).await.unwrap();
    assert!(traps.len() > 20, "{}", traps.len());

    let mut not_called = Vec::new();
    for trap in &traps {
        let (name, make): (&str, &str) = (trap.get(0), trap.get(1));
        client
            .batch_execute(&format!("BEGIN; {make}"))
            .await
            .unwrap();
        let mut called = false;
        for statement in STORY {
            match client.batch_execute(statement).await {
                Ok(()) => {}
                Err(error) if code(&error) == "TRAPS" => {
                    called = true;
                    break;
                }
                Err(error) => panic!("{statement}: {error:?}"),
            }
        }
        if !called {
            not_called.push(name);
        }
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    assert_eq!(not_called, [""; 0]);
}

/// A trigger's function runs with its owner's rights on whatever table it is put. There it writes
/// what the table's owner wants, and a cast from a type of theirs runs as the schema's owner.
#[tokio::test]
async fn no_role_puts_a_trigger_of_ours_on_its_own_table() {
    let (_database, client) = migrated().await;
    client
        .batch_execute(
            "DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO PUBLIC', current_database()); END $$",
        )
        .await
        .unwrap();
    let functions = client
        .query(
            "SELECT oid::regprocedure::text FROM pg_proc
             WHERE pronamespace = 'public'::regnamespace AND prorettype = 'trigger'::regtype",
            &[],
        )
        .await
        .unwrap();
    assert!(functions.len() > 15, "{}", functions.len());

    for role in ROLES.into_iter().chain([REPORT]) {
        client
            .batch_execute(&format!(
                "SET ROLE {role}; CREATE TEMPORARY TABLE own (id uuid)"
            ))
            .await
            .unwrap();
        for function in &functions {
            let function: &str = function.get(0);
            let attach = format!(
                "CREATE TRIGGER t AFTER INSERT ON own FOR EACH STATEMENT EXECUTE FUNCTION public.{function}"
            );
            let error = client.batch_execute(&attach).await.expect_err(&attach);
            assert_eq!(code(&error), "42501", "{role}: {attach}");
        }
        client
            .batch_execute("DROP TABLE own; RESET ROLE")
            .await
            .unwrap();
    }
}
