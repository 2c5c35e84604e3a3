//! Which device files a payment (protocol C8).

use risiti_domain::DeviceId;

use crate::kit::{Kit, Merchant};

const DEVICES: &str = "SELECT device_id::text FROM invoices WHERE merchant_id = $1";

/// Two short codes, each bound to a device of its own; a third device is the default.
async fn branches(kit: &Kit) -> (Merchant, [DeviceId; 3]) {
    let merchant = kit.merchant().await;
    let devices = [
        kit.device(&merchant, false).await,
        kit.device(&merchant, false).await,
        kit.device(&merchant, true).await,
    ];
    kit.short_code(&merchant, "11111", Some(devices[0])).await;
    kit.short_code(&merchant, "22222", Some(devices[1])).await;
    (merchant, devices)
}

#[tokio::test]
async fn the_short_codes_device_else_the_default() {
    let kit = Kit::new().await;
    let (merchant, [_, second, default]) = branches(&kit).await;
    let recorded = kit
        .tell(&[
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
async fn the_only_short_code_counts_for_an_stk_callback_that_names_none() {
    let kit = Kit::new().await;
    let merchant = kit.merchant().await;
    let (bound, _default) = (
        kit.device(&merchant, false).await,
        kit.device(&merchant, true).await,
    );
    kit.short_code(&merchant, "33333", Some(bound)).await;
    let recorded = kit
        .tell(&[merchant.stk("ws_CO_1", 0, Some("UIS1"), "5")])
        .await;
    assert_eq!(recorded[0].wake, [bound]);
}

#[tokio::test]
async fn an_invoice_never_sent_follows_its_c2b_twin() {
    let kit = Kit::new().await;
    let (merchant, [first, ..]) = branches(&kit).await;
    let twins = [
        merchant.stk("ws_CO_1", 0, Some("UIS1"), "5"),
        merchant.c2b("UIS1", "5", "11111"),
    ];
    let recorded = kit.tell(&twins).await;
    assert_eq!(recorded[1].wake, [first]);
    assert_eq!(kit.lines(DEVICES, &merchant).await, [first.to_string()]);
}

#[tokio::test]
async fn an_invoice_once_sent_stays_where_it_is() {
    let kit = Kit::new().await;
    let (merchant, [.., default]) = branches(&kit).await;
    kit.tell(&[merchant.stk("ws_CO_1", 0, Some("UIS1"), "5")])
        .await;
    kit.client
        .execute("UPDATE invoices SET first_sent_at = now()", &[])
        .await
        .unwrap();
    let recorded = kit.tell(&[merchant.c2b("UIS1", "5", "11111")]).await;
    assert!(recorded[0].wake.is_empty());
    assert_eq!(kit.lines(DEVICES, &merchant).await, [default.to_string()]);
}

#[tokio::test]
async fn a_lane_is_marked_once_and_a_halted_leased_or_waiting_one_not_at_all() {
    let kit = Kit::new().await;
    let merchant = kit.merchant().await;
    let mut lanes = Vec::new();
    for _ in 0..4 {
        lanes.push(kit.device(&merchant, false).await);
    }
    let set = async |assignment: &str, lane: DeviceId| {
        let statement = format!("UPDATE lanes SET {assignment} WHERE device_id = $1");
        kit.client
            .execute(&statement, &[&lane.uuid()])
            .await
            .unwrap();
    };
    set("halted_at = now(), halt_reason = 'test'", lanes[1]).await;
    set("retry_at = now() + interval '1 hour'", lanes[2]).await;
    kit.client
        .execute(
            "INSERT INTO lane_leases (device_id, claim_id, worker_id, lease_until)
             VALUES ($1, $1, $1, now() + interval '10 s')",
            &[&lanes[3].uuid()],
        )
        .await
        .unwrap();
    assert_eq!(kit.ledger.mark_wake_ups(&lanes).await.unwrap(), lanes[..1]);
    assert!(kit.ledger.mark_wake_ups(&lanes).await.unwrap().is_empty());
    kit.ledger.unmark_wake_ups(&lanes[..1]).await.unwrap();
    assert_eq!(kit.ledger.mark_wake_ups(&lanes).await.unwrap(), lanes[..1]);
}
