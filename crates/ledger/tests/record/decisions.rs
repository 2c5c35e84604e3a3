//! How the flags of payments end, and how many wait.

use risiti_domain::{DeadCause, PaymentId, PaymentState};
use risiti_ledger::{FlagDecision, FlagOutcome, MessageDeadLetter, OperatorAction};
use risiti_providers::ReversalOutcome::Done;
use risiti_providers::{Account, Channel};
use uuid::Uuid;

use crate::fixture::{Fixture, Merchant};
use crate::provider_bodies::{fixture_body, incoming};

fn by() -> OperatorAction {
    OperatorAction {
        operator: "jane".to_owned(),
        reason: "seen".to_owned(),
    }
}

async fn flagged_payment(fixture: &Fixture, merchant: &Merchant) -> PaymentId {
    let statement = "SELECT id::text FROM payments WHERE merchant_id = $1 AND conflict";
    let ids = fixture.lines(statement, merchant).await;
    assert_eq!(ids.len(), 1, "{ids:?}");
    ids[0].parse().unwrap()
}

/// Takes up the payments whose short code is registered by now, as a ledger worker does.
async fn take_up(fixture: &Fixture) -> Vec<FlagOutcome> {
    let payments = fixture
        .ledger
        .payments_of_registered_codes(10)
        .await
        .unwrap();
    let mut outcomes = Vec::new();
    for payment in payments {
        let decision = FlagDecision::ShortCodeRegistered;
        outcomes.push(fixture.ledger.end_flag(payment, &decision).await.unwrap());
    }
    outcomes
}

#[tokio::test]
async fn money_to_a_code_counts_once_the_code_is_registered() {
    let fixture = Fixture::new().await;
    for confirmation_first in [true, false] {
        let merchant = fixture.merchant().await;
        fixture.device(&merchant, true).await;
        let mut events = [
            (
                Channel::DarajaC2bConfirmation,
                "cases/daraja/14a-c2b-to-store-number.json",
            ),
            (
                Channel::DarajaResult,
                "cases/daraja/14b-status-result-same-receipt.json",
            ),
        ]
        .map(|(channel, file)| {
            incoming(&merchant, channel, fixture_body(file), &Account::default())
        });
        if !confirmation_first {
            events.reverse();
        }
        fixture.record(&events).await;
        assert_eq!(
            fixture.payments(&merchant).await,
            ["pending UKQ1400001 - 1500.00 KES flagged \
                 (the short code is not registered for this merchant)"]
        );
        assert!(take_up(&fixture).await.is_empty());

        fixture.short_code(&merchant, "7300001", None).await;
        let counted = FlagOutcome::Ended {
            from: PaymentState::Pending,
            to: PaymentState::Success,
        };
        assert_eq!(take_up(&fixture).await, [counted]);
        assert_eq!(
            fixture.payments(&merchant).await,
            ["success UKQ1400001 - 1500.00 KES"]
        );
        assert_eq!(fixture.invoices(&merchant).await, ["sale pending 1500.00"]);
        assert!(take_up(&fixture).await.is_empty());
        let delete = "DELETE FROM short_codes WHERE short_code = '7300001'";
        fixture.client.execute(delete, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn round_takes_up_no_more_payments_than_it_may() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    let paid = ["UIS1", "UIS2", "UIS3"].map(|receipt| merchant.c2b(receipt, "100", "55555"));
    fixture.record(&paid).await;
    fixture.short_code(&merchant, "55555", None).await;
    let round = fixture
        .ledger
        .payments_of_registered_codes(2)
        .await
        .unwrap();
    assert_eq!(round.len(), 2);
}

/// Its refund came before anybody registered the code.
#[tokio::test]
async fn waiting_refund_is_applied_when_the_code_is_registered() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    fixture.device(&merchant, true).await;
    fixture
        .record(&[
            merchant.c2b("UIS1", "100", "55555"),
            merchant.reversal("r1", "UIS1", Some("30"), Done),
        ])
        .await;
    fixture.short_code(&merchant, "55555", None).await;
    assert_eq!(take_up(&fixture).await.len(), 1);
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["credit_note pending 30.00", "sale pending 100.00"]
    );
}

#[tokio::test]
async fn payment_flagged_for_more_than_its_code_is_left_to_a_person() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    fixture.device(&merchant, true).await;
    fixture
        .record(&[
            merchant.c2b("UIS1", "100", "55555"),
            merchant.stk("ws_CO_1", 0, Some("UIS1"), "90"),
        ])
        .await;
    fixture.short_code(&merchant, "55555", None).await;
    assert!(take_up(&fixture).await.is_empty());
    let payment = flagged_payment(&fixture, &merchant).await;
    let decision = FlagDecision::ShortCodeRegistered;
    let outcome = fixture.ledger.end_flag(payment, &decision).await.unwrap();
    assert!(matches!(outcome, FlagOutcome::Refused(_)), "{outcome:?}");
}

#[tokio::test]
async fn flag_ends_once_however_many_end_it() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    fixture.device(&merchant, true).await;
    fixture
        .record(&[merchant.c2b("UIS1", "100", "55555")])
        .await;
    let payment = flagged_payment(&fixture, &merchant).await;
    let decision = FlagDecision::Settle {
        refunded: None,
        by: by(),
    };
    let by_hand = fixture.by_hand();
    let all = (0..4).map(|_| by_hand.end_flag(payment, &decision));
    let outcomes = futures_util::future::join_all(all).await;
    let ended = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(FlagOutcome::Ended { .. })));
    assert_eq!(ended.count(), 1, "{outcomes:?}");
    assert_eq!(fixture.invoices(&merchant).await, ["sale pending 100.00"]);
    let actions = "SELECT count(*) FROM operator_actions WHERE $1::uuid IS NOT NULL";
    assert_eq!(fixture.number(actions, &merchant).await, 1);
}

#[tokio::test]
async fn settled_refund_beside_an_equal_dispute_is_credited() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    fixture
        .record(&[
            merchant.stk("ws_CO_1", 0, Some("UIS1"), "100"),
            merchant.reversal("dispute:1", "UIS1", Some("30"), Done),
            merchant.reversal("refund:UIS1:1", "UIS1", Some("30"), Done),
        ])
        .await;
    let payment = flagged_payment(&fixture, &merchant).await;
    let decision = FlagDecision::Settle {
        refunded: None,
        by: by(),
    };
    fixture
        .by_hand()
        .end_flag(payment, &decision)
        .await
        .unwrap();
    assert_eq!(
        fixture.payments(&merchant).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );
    assert_eq!(
        fixture.invoices(&merchant).await,
        [
            "credit_note pending 30.00",
            "credit_note pending 30.00",
            "sale pending 100.00"
        ]
    );
}

#[tokio::test]
async fn what_waits_for_a_person_is_counted_with_its_age() {
    let fixture = Fixture::new().await;
    let merchant = fixture.merchant().await;
    let none = fixture.ledger.flagged_waiting().await.unwrap();
    assert_eq!((none.count, none.oldest_seconds), (0, 0));
    assert!(fixture.ledger.messages_waiting().await.unwrap().is_empty());

    fixture
        .record(&[merchant.c2b("UIS1", "100", "55555")])
        .await;
    let letter = MessageDeadLetter {
        cause: DeadCause::Poison,
        merchant_id: Some(merchant.id),
        provider: None,
        event_id: None,
        body: b"x".to_vec(),
        headers: std::collections::BTreeMap::new(),
        message: "y".to_owned(),
    };
    fixture
        .ledger
        .insert_message_dead_letter(&letter)
        .await
        .unwrap();
    fixture
        .client
        .batch_execute(
            "UPDATE payments SET flagged_at = now() - interval '1 hour';
             UPDATE dead_letters SET dead_at = now() - interval '2 hours'",
        )
        .await
        .unwrap();
    let flagged = fixture.ledger.flagged_waiting().await.unwrap();
    assert_eq!(flagged.count, 1);
    assert!(
        (3600..3700).contains(&flagged.oldest_seconds),
        "{flagged:?}"
    );
    let messages = fixture.ledger.messages_waiting().await.unwrap();
    let poison = messages[&DeadCause::Poison];
    assert_eq!(messages.len(), 1);
    assert_eq!((poison.waiting.count, poison.most_of_one_merchant), (1, 1));
    let oldest = poison.waiting.oldest_seconds;
    assert!((7200..7300).contains(&oldest), "{poison:?}");

    let payment = flagged_payment(&fixture, &merchant).await;
    let decision = FlagDecision::Dismiss { by: by() };
    fixture
        .by_hand()
        .end_flag(payment, &decision)
        .await
        .unwrap();
    assert_eq!(fixture.ledger.flagged_waiting().await.unwrap().count, 0);
    let unknown = PaymentId::from_uuid(Uuid::nil());
    let outcome = fixture
        .by_hand()
        .end_flag(unknown, &decision)
        .await
        .unwrap();
    assert_eq!(outcome, FlagOutcome::Overtaken);
}

/// Whoever knows a path secret can report any amount.
#[tokio::test]
async fn payment_above_the_ceiling_waits_for_a_person() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let code = fixture.code_of(&merchant).await;
    let waiting = "flagged (above the merchant's ceiling for one payment: settle it if it is true)";
    // The default, to the cent.
    let recorded = fixture
        .record(&[
            merchant.c2b("UIS1", "10000000", &code),
            merchant.c2b("UIS2", "10000000.01", &code),
            merchant.stk("ws_CO_2", 0, Some("UIS2"), "10000000.01"),
            merchant.stk("ws_CO_3", 0, Some("UIS3"), "999999999999.99"),
        ])
        .await;
    assert_eq!(
        recorded
            .iter()
            .map(|event| event.flagged)
            .collect::<Vec<_>>(),
        [false, true, true, true]
    );
    assert_eq!(
        fixture.payments(&merchant).await,
        [
            format!("pending UIS2 ws_CO_2 10000000.01 KES {waiting}"),
            format!("pending UIS3 ws_CO_3 999999999999.99 KES {waiting}"),
            "success UIS1 - 10000000.00 KES".to_owned(),
        ]
    );
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["sale pending 10000000.00"]
    );

    let ids = "SELECT id::text FROM payments WHERE merchant_id = $1 AND money_key = 'UIS2'";
    let payment: PaymentId = fixture.lines(ids, &merchant).await[0].parse().unwrap();
    let decision = FlagDecision::Settle {
        refunded: None,
        by: by(),
    };
    let settled = fixture
        .by_hand()
        .end_flag(payment, &decision)
        .await
        .unwrap();
    let counted = FlagOutcome::Ended {
        from: PaymentState::Pending,
        to: PaymentState::Success,
    };
    assert_eq!(settled, counted);
    assert_eq!(
        fixture.invoices(&merchant).await,
        ["sale pending 10000000.00", "sale pending 10000000.01"]
    );
}

/// A ceiling holds for its merchant, and a code that is registered later does not get past it.
#[tokio::test]
async fn ceiling_is_the_merchants_own_and_outlasts_the_short_code() {
    let fixture = Fixture::new().await;
    let (merchant, _) = fixture.ordinary_merchant().await;
    let (other, _) = fixture.ordinary_merchant().await;
    let lower = "UPDATE merchants SET amount_max = 50 WHERE id = $1";
    let id = merchant.id.uuid();
    fixture
        .record(&[merchant.c2b("UIS1", "100", "55555")])
        .await;
    fixture.client.execute(lower, &[&id]).await.unwrap();
    fixture
        .record(&[
            merchant.c2b("UIS2", "100", "55555"),
            other.stk("ws_CO_1", 0, Some("UIS1"), "100"),
        ])
        .await;
    assert_eq!(
        fixture.payments(&other).await,
        ["success UIS1 ws_CO_1 100.00 KES"]
    );

    fixture.short_code(&merchant, "55555", None).await;
    assert!(take_up(&fixture).await.is_empty());
    let ids = "SELECT id::text FROM payments WHERE merchant_id = $1";
    for id in fixture.lines(ids, &merchant).await {
        let decision = FlagDecision::ShortCodeRegistered;
        let payment = id.parse().unwrap();
        let outcome = fixture.ledger.end_flag(payment, &decision).await.unwrap();
        assert!(matches!(outcome, FlagOutcome::Refused(_)), "{outcome:?}");
    }
    assert!(fixture.invoices(&merchant).await.is_empty());
}
