//! Money that came in and is no sale, or none that can be filed.

use risiti_domain::{Currency, Money};
use risiti_ledger::IncomingEvent;
use risiti_providers::{EventBody, Organisation, PaymentReport};

use crate::fixture::{Fixture, Merchant};

fn report(event: &mut IncomingEvent) -> &mut PaymentReport {
    match &mut event.event.body {
        EventBody::Payment(report) => report,
        _ => panic!("no payment"),
    }
}

/// A confirmation of money from an organisation.
fn transfer(merchant: &Merchant, to: &str, from: Organisation) -> IncomingEvent {
    let mut event = merchant.c2b("UIS1", "100", to);
    report(&mut event).paid_by = Some(from);
    event
}

fn short_code(code: &str) -> Organisation {
    Organisation::ShortCode(code.to_owned())
}

/// A merchant with a device and two short codes.
async fn two_codes(fixture: &Fixture) -> Merchant {
    let merchant = fixture.merchant().await;
    fixture.device(&merchant, true).await;
    for code in ["11111", "22222"] {
        fixture.short_code(&merchant, code, None).await;
    }
    merchant
}

#[tokio::test]
async fn foreign_income_is_told_of_where_there_is_a_device() {
    let fixture = Fixture::new().await;
    let (with_device, _) = fixture.ordinary_merchant().await;
    let without = fixture.merchant().await;
    for (merchant, currency, told) in [
        (&with_device, Currency::USD, Some(Currency::USD)),
        (&with_device, Currency::KES, None),
        (&without, Currency::USD, None),
    ] {
        let receipt = format!("UIS-{currency}");
        let mut event = merchant.stk(&format!("ws-{currency}"), 0, Some(&receipt), "5");
        let report = report(&mut event);
        report.amount = report
            .amount
            .map(|amount| Money::new(amount.amount(), currency).unwrap());
        let recorded = fixture.record(&[event]).await;
        assert_eq!(recorded[0].foreign_income, told, "{currency}");
    }
    let listed = "SELECT concat_ws(' ', r.merchant = m.slug, amount, currency, reason)
        FROM report_income_without_receipt r, merchants m WHERE m.id = $1";
    assert_eq!(
        fixture.lines(listed, &with_device).await,
        ["t 5.00 USD owes no receipt: not in KES"]
    );
}

#[tokio::test]
async fn transfer_between_own_short_codes_is_no_sale() {
    let fixture = Fixture::new().await;
    let merchant = two_codes(&fixture).await;
    let event = transfer(&merchant, "11111", short_code("22222"));
    let recorded = fixture.record(&[event]).await;
    assert!(!recorded[0].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 - 100.00 KES (owes no receipt: between the merchant's own short codes)"]
    );
    assert!(fixture.invoices(&merchant).await.is_empty());
}

#[tokio::test]
async fn organisation_that_pays_is_a_customer() {
    let fixture = Fixture::new().await;
    let merchant = two_codes(&fixture).await;
    let event = transfer(&merchant, "11111", short_code("33333"));
    fixture.record(&[event]).await;
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 100.00"]);
}

#[tokio::test]
async fn unnamed_organisation_may_be_the_merchant_itself() {
    let fixture = Fixture::new().await;
    let merchant = two_codes(&fixture).await;
    let event = transfer(&merchant, "11111", Organisation::Unnamed);
    let recorded = fixture.record(&[event]).await;
    assert!(recorded[0].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        [
            "pending UIS1 - 100.00 KES flagged (an organisation paid that may be the merchant \
             itself, from another of its short codes)"
        ]
    );

    let (with_one_code, _) = fixture.ordinary_merchant().await;
    let code = fixture.code_of(&with_one_code).await;
    let event = transfer(&with_one_code, &code, Organisation::Unnamed);
    fixture.record(&[event]).await;
    assert_eq!(
        fixture.invoices(&with_one_code).await,
        ["sale pending 100.00"]
    );
}

#[tokio::test]
async fn own_transfer_that_was_counted_as_a_sale_is_flagged() {
    let fixture = Fixture::new().await;
    let merchant = two_codes(&fixture).await;
    let counted = merchant.c2b("UIS1", "100", "11111");
    let mut status = transfer(&merchant, "11111", short_code("22222"));
    status.event.delivery_key = "status_result:AG_1".to_owned();
    let recorded = fixture.record(&[counted, status]).await;
    assert!(recorded[1].flagged);
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 - 100.00 KES flagged \
             (a transfer between the merchant's short codes was counted as a sale)"]
    );
}
