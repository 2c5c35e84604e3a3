//! Which device files a payment (protocol C8).

use risiti_domain::DeviceId;

use crate::fixture::{Fixture, Merchant};

const DEVICES: &str = "SELECT device_id::text FROM invoices WHERE merchant_id = $1";

/// A merchant with two short codes, each bound to a device of its own. A third device is the
/// default.
async fn branches(fixture: &Fixture) -> (Merchant, [DeviceId; 3]) {
    let merchant = fixture.merchant().await;
    let devices = [
        fixture.device(&merchant, false).await,
        fixture.device(&merchant, false).await,
        fixture.device(&merchant, true).await,
    ];
    fixture
        .short_code(&merchant, "11111", Some(devices[0]))
        .await;
    fixture
        .short_code(&merchant, "22222", Some(devices[1]))
        .await;
    (merchant, devices)
}

#[tokio::test]
async fn payment_goes_to_its_short_codes_device_else_the_default() {
    let fixture = Fixture::new().await;
    let (merchant, [_, second, default]) = branches(&fixture).await;
    let recorded = fixture
        .record(&[
            merchant.c2b("UIS1", "5", "22222"),
            merchant.stk("ws_CO_2", 0, Some("UIS2"), "5"),
        ])
        .await;
    assert_eq!(
        (&recorded[0].wake[..], &recorded[1].wake[..]),
        (&[second][..], &[default][..])
    );
}

#[tokio::test]
async fn only_short_code_counts_when_stk_callback_names_none() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    let bound = fixture.device(&merchant, false).await;
    let _default = fixture.device(&merchant, true).await;
    fixture.short_code(&merchant, "33333", Some(bound)).await;
    let recorded = fixture
        .record(&[merchant.stk("ws_CO_1", 0, Some("UIS1"), "5")])
        .await;
    assert_eq!(recorded[0].wake, [bound]);
}

#[tokio::test]
async fn unsent_invoice_follows_its_c2b_twin() {
    let fixture = Fixture::new().await;
    let (merchant, [first, ..]) = branches(&fixture).await;
    let twins = [
        merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
        merchant.c2b("UIS1", "5", "11111"),
    ];
    let recorded = fixture.record(&twins).await;
    assert_eq!(recorded[1].wake, [first]);
    assert_eq!(fixture.lines(DEVICES, &merchant).await, [first.to_string()]);
}

#[tokio::test]
async fn sent_invoice_stays_in_its_lane() {
    let fixture = Fixture::new().await;
    let (merchant, [.., default]) = branches(&fixture).await;
    fixture
        .record(&[merchant.stk("ws_CO_1", 0, Some("UIS1"), "5")])
        .await;
    fixture
        .client
        .execute("UPDATE invoices SET first_sent_at = now()", &[])
        .await
        .unwrap();
    let recorded = fixture.record(&[merchant.c2b("UIS1", "5", "11111")]).await;
    assert!(recorded[0].wake.is_empty());
    assert_eq!(
        fixture.lines(DEVICES, &merchant).await,
        [default.to_string()]
    );
}

#[tokio::test]
async fn wake_up_is_marked_once_and_only_for_a_free_lane() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    let mut lanes = Vec::new();
    for _ in 0..4 {
        lanes.push(fixture.device(&merchant, false).await);
    }
    let set = async |assignment: &str, lane: DeviceId| {
        let statement = format!("UPDATE lanes SET {assignment} WHERE device_id = $1");
        fixture
            .client
            .execute(&statement, &[&lane.uuid()])
            .await
            .unwrap();
    };
    set("halted_at = now(), halt_reason = 'test'", lanes[1]).await;
    set("retry_at = now() + interval '1 hour'", lanes[2]).await;
    fixture
        .client
        .execute(
            "INSERT INTO lane_leases (device_id, claim_id, worker_id, lease_until)
             VALUES ($1, $1, $1, now() + interval '10 s')",
            &[&lanes[3].uuid()],
        )
        .await
        .unwrap();
    assert_eq!(
        fixture.ledger.mark_wake_ups(&lanes).await.unwrap(),
        lanes[..1]
    );
    assert!(
        fixture
            .ledger
            .mark_wake_ups(&lanes)
            .await
            .unwrap()
            .is_empty()
    );
    fixture.ledger.unmark_wake_ups(&lanes[..1]).await.unwrap();
    assert_eq!(
        fixture.ledger.mark_wake_ups(&lanes).await.unwrap(),
        lanes[..1]
    );
}
