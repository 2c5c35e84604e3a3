//! What each role may do with each column of each table, tried one by one and compared with the
//! list in `docs/data-model.md`.

use std::fmt::Write as _;
use std::path::Path;

use tokio_postgres::Client;

use super::migrated;
use super::roles::{REPORT, ROLES};

const HEADING: &str = "## What each role may do\n";

struct Relation {
    name: String,
    is_view: bool,
    columns: Vec<String>,
}

async fn relations(client: &Client) -> Vec<Relation> {
    let question = "SELECT c.relname::text, c.relkind = 'v', array_agg(a.attname::text ORDER BY a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v')
        GROUP BY 1, 2 ORDER BY 2, 1";
    let rows = client.query(question, &[]).await.unwrap();
    rows.iter()
        .map(|row| Relation {
            name: row.get(0),
            is_view: row.get(1),
            columns: row.get(2),
        })
        .collect()
}

/// Explaining a statement checks the rights it needs, and runs nothing.
async fn may(client: &Client, statement: &str) -> bool {
    match client.batch_execute(&format!("EXPLAIN {statement}")).await {
        Ok(()) => true,
        Err(error) if error.code().is_some_and(|code| code.code() == "42501") => false,
        Err(error) => panic!("{statement}: {error:?}"),
    }
}

/// The columns for which a statement is allowed, as the document shows them.
async fn allowed(
    client: &Client,
    relation: &Relation,
    statement: impl Fn(&str, &str) -> String,
) -> String {
    let mut allowed = Vec::new();
    let mut refused = Vec::new();
    for column in &relation.columns {
        let list = match may(client, &statement(&relation.name, column)).await {
            true => &mut allowed,
            false => &mut refused,
        };
        list.push(format!("`{column}`"));
    }
    match (allowed.len(), refused.len()) {
        (0, _) => "–".to_owned(),
        (_, 0) => "all".to_owned(),
        (some, others) if some > others => format!("all but {}", refused.join(", ")),
        _ => allowed.join(", "),
    }
}

/// One row of the document. `None` where the role may do nothing with the table.
async fn row(client: &Client, relation: &Relation) -> Option<String> {
    let select = |table: &str, column: &str| format!("SELECT {column} FROM {table}");
    let insert =
        |table: &str, column: &str| format!("INSERT INTO {table} ({column}) VALUES (DEFAULT)");
    let update = |table: &str, column: &str| format!("UPDATE {table} SET {column} = DEFAULT");
    let cells = if relation.is_view {
        let none = || "–".to_owned();
        [
            allowed(client, relation, select).await,
            none(),
            none(),
            none(),
        ]
    } else {
        let delete = format!("DELETE FROM {}", relation.name);
        let delete = if may(client, &delete).await {
            "yes"
        } else {
            "–"
        };
        [
            allowed(client, relation, select).await,
            allowed(client, relation, insert).await,
            allowed(client, relation, update).await,
            delete.to_owned(),
        ]
    };
    let may_anything = cells.iter().any(|cell| cell != "–");
    may_anything.then(|| format!("| `{}` | {} |\n", relation.name, cells.join(" | ")))
}

async fn section(client: &Client) -> String {
    let relations = relations(client).await;
    let mut section = String::new();
    for role in ROLES.into_iter().chain([REPORT]) {
        client
            .batch_execute(&format!("SET ROLE {role}"))
            .await
            .unwrap();
        write!(
            section,
            "\n### `{role}`\n\n| Table | SELECT | INSERT | UPDATE | DELETE |\n|---|---|---|---|---|\n"
        )
        .unwrap();
        for relation in &relations {
            section.extend(row(client, relation).await);
        }
        client.batch_execute("RESET ROLE").await.unwrap();
    }
    section
}

#[tokio::test]
async fn each_right_of_each_role_is_the_documented_one() {
    let (_database, client) = migrated().await;
    let made = section(&client).await;

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/data-model.md");
    let text = std::fs::read_to_string(file).unwrap();
    let (_, after) = text.split_once(HEADING).expect(HEADING);
    let documented = after.split("\n## ").next().unwrap_or_default();
    let tables = documented.find("\n### ").map_or("", |at| &documented[at..]);
    assert!(
        tables.trim() == made.trim(),
        "the tables under {HEADING:?} should be:\n{made}"
    );
}

/// No program writes to a view, and none but the owner writes where the list says nothing.
#[tokio::test]
async fn no_role_writes_to_a_view() {
    let (_database, client) = migrated().await;
    let roles: Vec<&str> = ROLES.into_iter().chain([REPORT]).collect();
    let question = "SELECT r || ' ' || c.relname FROM pg_class c, unnest($1::text[]) r
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'v'
          AND has_any_column_privilege(r, c.oid, 'INSERT, UPDATE, REFERENCES')";
    let found = client.query(question, &[&roles]).await.unwrap();
    assert!(found.is_empty());
}
