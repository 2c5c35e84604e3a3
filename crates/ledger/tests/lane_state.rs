//! What the database says a lane is doing, and the transitions a halt leaves.
#![expect(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod test_device;

use risiti_testkit::TestDatabase;
use test_device::TestDevice;
use tokio_postgres::Client;
use uuid::Uuid;

const MERCHANT: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001);
const DEVICE: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0002);

async fn lane() -> (TestDatabase, Client) {
    let database = TestDatabase::create().await;
    risiti_ledger::migrate(&database.url().into())
        .await
        .unwrap();
    let client = database.connect().await;
    client
        .execute(
            "INSERT INTO merchants (id, slug, name) VALUES ($1, 'acme', 'Acme')",
            &[&MERCHANT],
        )
        .await
        .unwrap();
    TestDevice::new(DEVICE, MERCHANT).insert(&client).await;
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
async fn halt_outweighs_lease_and_lease_outweighs_idle() {
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
async fn halt_and_its_end_leave_transitions() {
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
    let transitions: Vec<[String; 4]> = rows
        .iter()
        .map(|row| std::array::from_fn(|at| row.get(at)))
        .collect();
    assert_eq!(
        transitions,
        [
            ["idle", "halted", "etims-worker", "key refused"],
            ["halted", "idle", "ops", "new key"]
        ]
    );
}
