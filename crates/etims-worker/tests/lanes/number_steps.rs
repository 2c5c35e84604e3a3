//! Our numbers and KRA's are out of step: a wrong first number, or a database that was restored to
//! an earlier point (protocol D9, D11).

use crate::fixture::{Device, Fixture, terminate};
use crate::number_owners::file_elsewhere;

/// A typing error in the first number: the lane is one ahead of KRA.
#[tokio::test]
async fn a_number_too_high_halts_and_is_mended_by_one_command() {
    for dialect in ["legacy", "gateway", "vscu"] {
        let fixture = Fixture::with(dialect, &[]).await;
        fixture.plant_canary().await;
        let device = fixture.add_device(1).await;
        fixture.sql("UPDATE lanes SET next_invoice_no = 2").await;
        let sales = fixture.add_sales(&device, 3).await;
        let worker = fixture.worker().start();
        let reason = fixture.until_halted(&device).await;
        let command = format!("device update {} --next-invoice-no 1", device.id);
        assert!(reason.contains(&command), "{dialect}: {reason}");
        let list = fixture.replay(&["lanes", "list"]).await;
        let first = format!("first: risiti-admin {command} --reason");
        assert!(list.contains(&first), "{dialect}: {list}");
        assert_eq!(fixture.count_in_state("dead").await, 0, "{dialect}");
        assert_eq!(
            fixture.invoice_state(sales[0]).await,
            "pending",
            "{dialect}"
        );

        fixture.set_next_number(&device, "1").await;
        fixture.until_filed(3).await;
        assert_eq!(fixture.invoice_number(sales[0]).await, 1, "{dialect}");
        fixture.assert_receipts_are_kras().await;
        terminate(worker).await;
    }
}

#[tokio::test]
async fn a_number_too_low_is_mended_by_one_command() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    for number in 1..=5 {
        file_elsewhere(&fixture, &device, number).await;
    }
    let sales = fixture.add_sales(&device, 2).await;
    let worker = fixture.worker().start();
    let reason = fixture.until_halted(&device).await;
    assert!(reason.contains("none of ours"), "{reason}");

    let through = ["resolve", "--through", "5", "--taken-elsewhere"];
    let shown = [&through[..], &["--dry-run"]].concat();
    assert!(
        fixture
            .lanes_command(&device, &shown)
            .await
            .contains("Nothing was changed")
    );
    fixture.lanes_command(&device, &through).await;
    fixture.until_filed(2).await;
    assert_eq!(fixture.invoice_number(sales[0]).await, 6);
    assert_eq!(fixture.invoice_number(sales[1]).await, 7);
    terminate(worker).await;
}

/// KRA expects three above the number that is sent. What is below is taken, and a look-up tells by
/// whom.
#[tokio::test]
async fn a_database_restored_to_an_earlier_point_catches_up() {
    for order in ["position", "-position"] {
        let fixture = Fixture::with("gateway", &[]).await;
        let device = fixture.add_device(1).await;
        fixture.add_sales(&device, 4).await;
        let worker = fixture.worker().start();
        fixture.until_filed(4).await;
        terminate(worker).await;

        restore_to_first_invoice(&fixture, order).await;
        assert_eq!(fixture.count_in_state("success").await, 1);
        let worker = fixture.worker().start();
        fixture.until_filed(4).await;
        assert_not_halted(&fixture, &device).await;
        fixture.assert_receipts_are_kras().await;
        terminate(worker).await;
    }
}

/// The database forgets all filings but the first, and files the others in this order.
async fn restore_to_first_invoice(fixture: &Fixture, order: &str) {
    fixture
        .sql(&format!(
            "ALTER TABLE invoices DISABLE TRIGGER guard;
             UPDATE invoices SET state = 'pending', invoice_no = NULL, receipt_no = NULL, total_receipt_no = NULL,
                 receipt_signature = NULL, internal_data = NULL, attempts = 0, first_sent_at = NULL, issued_at = NULL
             WHERE invoice_no > 1;
             UPDATE invoices SET position = {order} WHERE state = 'pending';
             ALTER TABLE invoices ENABLE TRIGGER guard;
             DELETE FROM submissions WHERE invoice_no > 1;
             UPDATE lanes SET next_invoice_no = 2"
        ))
        .await;
}

async fn assert_not_halted(fixture: &Fixture, device: &Device) {
    let halted = format!(
        "SELECT count(*) FROM transitions WHERE subject_id = '{}' AND to_state = 'halted'",
        device.id
    );
    assert_eq!(fixture.count(&halted).await, 0);
}
