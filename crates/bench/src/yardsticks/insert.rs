//! The same rows by hand: reads what the ledger worker wrote for some payments, and writes the same
//! rows into an empty copy of the schema. One client sends one statement for each group of payments.
//!
//! The tables and columns are those the database names, so that a new migration changes the
//! yardstick too. Triggers, constraints and indexes do their work for these rows as for others.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use tokio_postgres::{Client, NoTls};

use super::{Pace, tell};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Database whose payments, and what hangs on them, are copied
    #[arg(long)]
    from: String,
    /// Database with the same merchants and devices and without payments
    #[arg(long)]
    into: String,
    /// Payments in one statement
    #[arg(long, default_value_t = 100)]
    group: i64,
}

/// Rows of these tables are written by triggers.
const WRITTEN_BY_TRIGGERS: [&str; 1] = ["transitions"];

#[tokio::main]
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let from = connect(&args.from).await?;
    let into = connect(&args.into).await?;
    tell(&copy(&from, &into, args.group).await?)
}

async fn copy(from: &Client, into: &Client, group: i64) -> anyhow::Result<Pace> {
    let tables = tables(from).await?;
    let statements = statements(from, &tables, group).await?;
    let count = payments(from).await?;

    let started = Instant::now();
    for statement in &statements {
        into.batch_execute(statement)
            .await
            .context("failed to insert a group")?;
    }
    let seconds = started.elapsed().as_secs_f64();

    let copied = payments(into).await?;
    ensure!(copied == count, "{copied} of {count} payments were copied");
    Ok(Pace {
        count: u64::try_from(count)?,
        seconds,
    })
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn payments(client: &Client) -> anyhow::Result<i64> {
    let row = client.query_one("SELECT count(*) FROM payments", &[]);
    Ok(row.await?.get(0))
}

/// A table with rows that belong to payments.
struct Table {
    name: String,
    /// The columns that a statement may name.
    columns: Vec<String>,
}

/// Returns `payments` and every table that names a payment and has rows.
async fn tables(client: &Client) -> anyhow::Result<Vec<Table>> {
    let statement = "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum) \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \
           AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity <> 'a' \
           AND (c.relname = 'payments' OR EXISTS (SELECT FROM pg_attribute k \
                WHERE k.attrelid = c.oid AND k.attname = 'payment_id')) \
         GROUP BY c.relname ORDER BY c.relname <> 'payments', c.relname";
    let mut tables = Vec::new();
    for row in client.query(statement, &[]).await? {
        let table = Table {
            name: row.get(0),
            columns: row.get(1),
        };
        let any = format!("SELECT EXISTS (SELECT FROM {})", table.name);
        let has_rows: bool = client.query_one(&any, &[]).await?.get(0);
        if has_rows && !WRITTEN_BY_TRIGGERS.contains(&table.name.as_str()) {
            tables.push(table);
        }
    }
    ensure!(
        tables.first().is_some_and(|table| table.name == "payments"),
        "there are no payments to copy"
    );
    Ok(tables)
}

/// Builds one statement for each group. All its inserts see the same state, and foreign keys are
/// checked at its end.
async fn statements(client: &Client, tables: &[Table], group: i64) -> anyhow::Result<Vec<String>> {
    let mut statements: Vec<String> = Vec::new();
    for table in tables {
        let insert = format!(
            "INSERT INTO {} ({}) VALUES ",
            table.name,
            table.columns.join(", ")
        );
        let groups = client.query(&rows_by_group(table), &[&group]).await?;
        for row in &groups {
            let place = usize::try_from(row.get::<_, i64>(0))?;
            let values: &str = row.get(1);
            if statements.len() <= place {
                statements.resize(place + 1, String::new());
            }
            let statement = &mut statements[place];
            match statement.is_empty() {
                true => statement.push_str("WITH "),
                false => statement.push_str(", "),
            }
            statement.push_str(&format!("of_{} AS ({insert}{values})", table.name));
        }
    }
    for statement in &mut statements {
        statement.push_str(" SELECT 1");
    }
    Ok(statements)
}

/// Returns the number of a group, and its rows as a list of VALUES.
fn rows_by_group(table: &Table) -> String {
    let values: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("quote_nullable(t.{column}::text)"))
        .collect();
    let key = if table.name == "payments" {
        "id"
    } else {
        "payment_id"
    };
    format!(
        "SELECT p.place / $1, string_agg('(' || concat_ws(',', {}) || ')', ',') \
         FROM {} t JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM payments) p \
              ON p.id = t.{key} \
         GROUP BY 1 ORDER BY 1",
        values.join(", "),
        table.name,
    )
}

#[cfg(test)]
mod tests {
    use risiti_testkit::TestDatabase;

    use super::*;

    const SCHEMA: &str = "\
        CREATE TABLE payments (id uuid PRIMARY KEY, note text, amount numeric(14, 2)); \
        CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY, body bytea NOT NULL, \
            payment_id uuid NOT NULL REFERENCES payments); \
        CREATE TABLE empty (payment_id uuid REFERENCES payments); \
        CREATE TABLE transitions (payment_id uuid NOT NULL); \
        CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            INSERT INTO transitions VALUES (NEW.id); RETURN NULL; END $$; \
        CREATE TRIGGER moved AFTER INSERT ON payments FOR EACH ROW EXECUTE FUNCTION moved()";
    const ROWS: &str = "\
        INSERT INTO payments SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 'it''s ' || n END, n \
            FROM generate_series(1, 25) n; \
        INSERT INTO events (body, payment_id) SELECT '\\x00ff'::bytea, id FROM payments";
    const SUMMARY: &str = "\
        SELECT md5(string_agg(p::text || e.body::text, ',' ORDER BY p.id)) || count(t.*) \
        FROM payments p JOIN events e ON e.payment_id = p.id JOIN transitions t ON t.payment_id = p.id";

    #[tokio::test]
    async fn copy_has_the_same_rows_and_runs_triggers_once() {
        let databases = [TestDatabase::create().await, TestDatabase::create().await];
        let [from, into] = [databases[0].connect().await, databases[1].connect().await];
        for client in [&from, &into] {
            client.batch_execute(SCHEMA).await.unwrap();
        }
        from.batch_execute(ROWS).await.unwrap();

        let pace = copy(&from, &into, 10).await.unwrap();
        assert_eq!(pace.count, 25);
        let summary = async |client: &Client| -> String {
            client.query_one(SUMMARY, &[]).await.unwrap().get(0)
        };
        assert_eq!(summary(&from).await, summary(&into).await);
    }

    #[tokio::test]
    async fn database_without_payments_cannot_be_copied() {
        let database = TestDatabase::create().await;
        let client = database.connect().await;
        client.batch_execute(SCHEMA).await.unwrap();
        assert!(copy(&client, &client, 10).await.is_err());
    }
}
