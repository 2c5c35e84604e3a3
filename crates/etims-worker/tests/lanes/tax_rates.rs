//! The tax rates of a device: KRA's list before its specification, and a person before both.

use crate::fixture::{Device, Fault, Fixture, sale_calls, terminate};

/// KRA's rate of type E here. Its specification says 8.
const RATE_E: &[&str] = &["--rate-e", "0"];

async fn list_rate_e(fixture: &Fixture, device: &Device, percent: &str) {
    let rates = format!(r#"{{"A":"0","B":"16","C":"0","D":"0","E":"{percent}"}}"#);
    fixture
        .sql(&format!(
            "UPDATE devices SET listed_tax_rates = '{rates}', tax_rates_listed_at = now() WHERE id = '{}'",
            device.id
        ))
        .await;
}

#[tokio::test]
async fn a_rate_of_the_code_list_is_filed_and_another_one_refused() {
    let fixture = Fixture::with("gateway", RATE_E).await;
    let devices = fixture.add_devices(0..3).await;
    list_rate_e(&fixture, &devices[1], "0").await;
    list_rate_e(&fixture, &devices[2], "0").await;
    fixture
        .sql(&format!(
            r#"UPDATE devices SET tax_rates = '{{"E":"8"}}' WHERE id = '{}'"#,
            devices[2].id
        ))
        .await;
    let mut sales = Vec::new();
    for device in &devices {
        sales.push(fixture.add_sales(device, 1).await[0]);
    }
    let worker = fixture.worker().start();
    for (sale, state) in sales.iter().zip(["dead", "success", "dead"]) {
        fixture.until_state(*sale, state).await;
    }
    let messages = fixture
        .text("SELECT string_agg(DISTINCT message, '; ') FROM dead_letters")
        .await;
    assert!(messages.contains("taxRtE"), "{messages}");
    terminate(worker).await;
}

/// KRA may have the first body, so that the second one must be the same.
#[tokio::test]
async fn a_new_rate_does_not_change_a_body_that_was_sent() {
    let fixture = Fixture::new().await;
    let device = fixture.add_device(1).await;
    list_rate_e(&fixture, &device, "8").await;
    fixture
        .simulator
        .fail(sale_calls().first(1), Fault::DropBeforeAccept)
        .await;
    let sale = fixture.add_sales(&device, 1).await[0];
    let worker = fixture
        .worker()
        .env("RISITI_RETRY_FIRST", "4s")
        .env("RISITI_RETRY_MAX", "4s")
        .start();
    let unknown = "SELECT count(*) FROM submissions WHERE outcome = 'unknown'";
    fixture.until_one("the first send is lost", unknown).await;
    list_rate_e(&fixture, &device, "0").await;

    fixture.until_state(sale, "success").await;
    let bodies = "SELECT count(DISTINCT body) FROM submissions";
    assert_eq!(fixture.count(bodies).await, 1);
    let rate = "SELECT convert_from(body, 'UTF8')::jsonb ->> 'taxRtE' FROM submissions LIMIT 1";
    assert!(fixture.text(rate).await.starts_with('8'));

    // The next invoice has the new rate, which is not KRA's here.
    let next = fixture.add_sales(&device, 1).await[0];
    fixture.until_state(next, "dead").await;
    terminate(worker).await;
}
