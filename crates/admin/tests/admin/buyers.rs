//! `buyer set`.

use crate::fixture::Fixture;

pub(crate) const SALE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A merchant with a device and a sale that waits to be filed.
async fn with_sale() -> Fixture {
    let fixture = Fixture::with_merchant().await;
    fixture
        .add_device("http://127.0.0.1:1", "00", &[])
        .await
        .ok();
    add_sale(&fixture).await;
    fixture
}

/// Adds a sale of the only device that waits to be filed.
pub(crate) async fn add_sale(fixture: &Fixture) {
    fixture
        .sql(&format!(
            "INSERT INTO payments (id, merchant_id, provider, money_key, receipt, amount, currency, method, state,
                authenticated_by, settled_at, moved_by)
             SELECT '{SALE}', id, 'daraja', 'UIS4', 'UIS4', 116, 'KES', 'mobile_money', 'success', 'path', now(), 'test'
             FROM merchants;
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
             SELECT '{SALE}', '{SALE}', merchant_id, id, 'sale', 116, 'test' FROM devices"
        ))
        .await;
}

async fn buyer(fixture: &Fixture) -> Option<String> {
    fixture
        .value("SELECT buyer_name || ' ' || coalesce(buyer_pin, '-') FROM invoices")
        .await
}

#[tokio::test]
async fn buyer_is_named_until_the_sale_may_be_at_kra() {
    let fixture = with_sale().await;
    let set =
        |more: &[&'static str]| [&["buyer", "set", SALE, "--reason", "asked for"], more].concat();
    fixture
        .run(&set(&["--name", " Upendo Traders Ltd "]))
        .await
        .ok();
    fixture.run(&set(&["--pin", "p059876543z"])).await.ok();
    let named = Some("Upendo Traders Ltd P059876543Z".to_owned());
    assert_eq!(buyer(&fixture).await, named);

    let bad = fixture.run(&set(&["--pin", "P05987654Z"])).await;
    assert_eq!(bad.code, 2, "{bad:?}");
    let nothing = fixture.run(&set(&[])).await;
    assert_eq!(nothing.code, 2, "{nothing:?}");

    fixture
        .sql("UPDATE lanes SET moved_by = 'test'; UPDATE invoices SET state = 'submitting', invoice_no = 1,
            first_sent_at = now(), moved_by = 'test'")
        .await;
    fixture
        .run(&set(&["--name", "Other"]))
        .await
        .refused(1, "submitting");
    assert_eq!(buyer(&fixture).await, named);
    let guarded = "UPDATE invoices SET buyer_name = 'Other'";
    let refusal = fixture.sql_error(guarded).await;
    assert_eq!(refusal.as_deref(), Some("buyer_set_before_send"));
}

#[tokio::test]
async fn audit_tells_of_a_named_buyer_without_the_buyer() {
    let fixture = with_sale().await;
    let set = [
        "buyer",
        "set",
        SALE,
        "--name",
        "Upendo",
        "--pin",
        "P059876543Z",
        "--reason",
        "asked for",
    ];
    fixture.run(&set).await.ok();
    let audit = fixture.run(&["audit"]).await;
    assert!(audit.stdout.contains("buyer set"), "{audit:?}");
    assert!(audit.stdout.contains(SALE), "{audit:?}");
    for secret in ["Upendo", "P059876543Z"] {
        assert!(!audit.stdout.contains(secret), "{audit:?}");
    }
}

#[tokio::test]
async fn only_sales_of_the_ledger_have_a_buyer_to_name() {
    let fixture = with_sale().await;
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8058";
    let set = ["buyer", "set", nobody, "--name", "Upendo", "--reason", "x"];
    fixture.run(&set).await.refused(1, "there is no invoice");
}
