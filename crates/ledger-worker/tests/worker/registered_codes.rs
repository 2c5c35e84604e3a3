//! Money that came to a short code before it was registered.

use risiti_queue::Target;

use crate::fixture::{Fixture, terminate_cleanly};

#[tokio::test]
async fn code_registered_later_makes_its_payments_count() {
    let fixture = Fixture::new().await;
    let worker = fixture.worker();
    let body =
        include_str!("../../../providers/fixtures/cases/daraja/14a-c2b-to-store-number.json");
    fixture
        .publish(Target::Payments, fixture.c2b_confirmation(body))
        .await;
    let flagged = "SELECT count(*) FROM report_payments WHERE flagged AND state = 'pending'";
    fixture.wait_for_number(flagged, 1).await;

    let merchant = fixture.merchant;
    fixture
        .client
        .batch_execute(&format!(
            "INSERT INTO provider_accounts (id, merchant_id, provider) VALUES ('{merchant}', '{merchant}', 'daraja');
             INSERT INTO short_codes (short_code, account_id, merchant_id)
             VALUES ('7300001', '{merchant}', '{merchant}');"
        ))
        .await
        .unwrap();
    let counted = "SELECT count(*) FROM report_payments WHERE NOT flagged AND state = 'success'";
    fixture.wait_for_number(counted, 1).await;
    let sales = "SELECT count(*) FROM invoices WHERE kind = 'sale' AND amount = 1500";
    fixture.wait_for_number(sales, 1).await;
    terminate_cleanly(worker).await;
}
