//! What the database says a lane is doing, and the transitions a halt leaves.
#![expect(
    clippy::unwrap_used,
    reason = "a stage that cannot be set fails its test"
)]

use risiti_testkit::TestDatabase;
use tokio_postgres::Client;

const DEVICE: &str = "00000000-0000-7000-8000-000000000002";

async fn lane() -> (TestDatabase, Client) {
    let database = TestDatabase::create().await;
    risiti_ledger::migrate(&database.url().into())
        .await
        .unwrap();
    let client = database.connect().await;
    client
        .batch_execute(&format!(
            "INSERT INTO merchants (id, slug, name) VALUES ('00000000-0000-7000-8000-000000000001', 'acme', 'Acme');
             INSERT INTO devices (id, merchant_id, environment, dialect, base_url, pin, branch, serial, item_code,
                item_class, item_name, tax_type)
             VALUES ('{DEVICE}', '00000000-0000-7000-8000-000000000001', 'sandbox', 'legacy', 'http://h', 'P000000001A',
                '00', 'S', 'KE2NTNO0000001', '1', 'x', 'B');
             INSERT INTO lanes (device_id, host) VALUES ('{DEVICE}', 'http://h:80')"
        ))
        .await
        .unwrap();
    (database, client)
}

async fn state(client: &Client, halted: bool) -> String {
    client
        .query_one(&format!("SELECT lane_state('{DEVICE}', {halted})"), &[])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn a_halt_outweighs_a_lease_and_a_lease_outweighs_idleness() {
    let (_database, client) = lane().await;
    assert_eq!(state(&client, false).await, "idle");
    client
        .batch_execute(&format!(
            "INSERT INTO lane_leases VALUES ('{DEVICE}', gen_random_uuid(), gen_random_uuid(), now() + interval '1 hour')"
        ))
        .await
        .unwrap();
    assert_eq!(state(&client, false).await, "busy");
    assert_eq!(state(&client, true).await, "halted");
}

#[tokio::test]
async fn a_halt_and_its_end_leave_who_why_and_the_states() {
    let (_database, client) = lane().await;
    client
        .batch_execute(&format!(
            "UPDATE lanes SET halted_at = now(), halt_reason = 'key refused', moved_by = 'etims-worker' WHERE device_id = '{DEVICE}';
             UPDATE lanes SET halted_at = NULL, halt_reason = NULL, moved_by = 'ops', moved_because = 'new key'
             WHERE device_id = '{DEVICE}'"
        ))
        .await
        .unwrap();
    let question = "SELECT from_state, to_state, actor, reason FROM report_transitions WHERE subject = 'device' ORDER BY at";
    let rows = client.query(question, &[]).await.unwrap();
    let told: Vec<[String; 4]> = rows
        .iter()
        .map(|row| std::array::from_fn(|at| row.get(at)))
        .collect();
    assert_eq!(
        told,
        [
            ["idle", "halted", "etims-worker", "key refused"],
            ["halted", "idle", "ops", "new key"]
        ]
    );
}
