//! Which bodies may be removed, what stays of them, and what the database refuses.
#![expect(clippy::unwrap_used, reason = "a test")]

mod test_device;

use std::time::Duration;

use risiti_domain::{DeadCause, MerchantId, Provider};
use risiti_ledger::{
    BODY_AGE_MIN, BodyAges, BodyCount, BodyTable, DatabaseSettings, Ledger, MessageDeadLetter,
    PruneWalk, migrate,
};
use risiti_testkit::TestDatabase;
use test_device::TestDevice;
use tokio_postgres::Client;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MERCHANT: Uuid = Uuid::from_u128(0xa);
const DEVICE: Uuid = Uuid::from_u128(0xd);

/// Functions that make what a payment leaves behind, as old as asked for.
///
/// `payment(n)` makes a paid payment with its event, and a filed sale with the send that KRA
/// accepted. Ids end in `n`.
const FUNCTIONS: &str = r"
    CREATE FUNCTION ident(kind text, n int) RETURNS uuid LANGUAGE sql AS
        $$ SELECT ('00000000-0000-0000-000' || kind || '-' || lpad(to_hex(n), 12, '0'))::uuid $$;
    CREATE FUNCTION payment(n int, age interval) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO payments (id, merchant_id, provider, method, money_key, receipt, amount, currency, authenticated_by,
            state, settled_at, moved_by)
        VALUES (ident('1', n), ident('0', 10), 'daraja', 'mobile_money', 'QK' || n, 'QK' || n, 10, 'KES', 'path',
            'success', now() - age, 'test');
        INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by, received_at,
            recorded_at, body, payment_id)
        VALUES (ident('2', n), ident('0', 10), 'daraja', 'stk', 'k' || n, 'facts', 'path', now() - age, now() - age,
            convert_to('webhook ' || n, 'UTF8'), ident('1', n));
        INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, event_id, moved_by)
        VALUES (ident('3', n), ident('1', n), ident('0', 10), ident('0', 13), 'sale', 10, ident('2', n), 'test');
        INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, sent_at, outcome)
        VALUES (ident('3', n), ident('0', 13), n, ident('0', 0), convert_to('request ' || n, 'UTF8'), now() - age, 'ok');
        UPDATE invoices SET state = 'success', invoice_no = n, receipt_no = n, moved_by = 'test' WHERE id = ident('3', n);
    END $$;";

struct Fixture {
    database: TestDatabase,
    client: Client,
    ledger: Ledger,
}

impl Fixture {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        migrate(&database.url().into()).await.unwrap();
        let client = database.connect().await;
        client
            .execute(
                "INSERT INTO merchants (id, slug, name) VALUES ($1, 'acme', 'Acme')",
                &[&MERCHANT],
            )
            .await
            .unwrap();
        TestDevice::new(DEVICE, MERCHANT).insert(&client).await;
        client.batch_execute(FUNCTIONS).await.unwrap();
        let ledger = ledger(&database, "risiti_admin");
        Self {
            database,
            client,
            ledger,
        }
    }

    async fn sql(&self, statements: &str) {
        self.client.batch_execute(statements).await.unwrap();
    }

    /// The constraint that refuses these statements of this role.
    async fn refusal(&self, role: &str, statements: &str) -> String {
        self.sql(&format!("BEGIN; SET LOCAL ROLE {role}")).await;
        let error = self
            .client
            .batch_execute(statements)
            .await
            .expect_err(statements);
        self.sql("ROLLBACK").await;
        let error = error.as_db_error().unwrap();
        let code = error.code().code().to_owned();
        error.constraint().map_or(code, str::to_owned)
    }

    async fn number(&self, query: &str) -> i64 {
        self.client.query_one(query, &[]).await.unwrap().get(0)
    }

    async fn prune(&self, table: BodyTable, filed_days: u32, days: u32) -> BodyCount {
        let mut walk = PruneWalk::removing(table, ages(filed_days, days));
        let mut total = BodyCount::default();
        while let Some(count) = self.ledger.prune_next(&mut walk).await.unwrap() {
            assert!(count.bodies <= 200, "{count:?}");
            total += count;
        }
        total
    }
}

fn ledger(database: &TestDatabase, role: &'static str) -> Ledger {
    let settings = DatabaseSettings {
        url: database.url().into(),
        pool_size: 2,
        role: Some(role),
        application_name: "risiti-test",
    };
    Ledger::open(settings).unwrap()
}

fn ages(filed_days: u32, days: u32) -> BodyAges {
    BodyAges {
        filed: DAY * filed_days,
        others: DAY * days,
    }
}

#[tokio::test]
async fn old_bodies_of_closed_payments_leave_a_digest() {
    let fixture = Fixture::new().await;
    fixture
        .sql("SELECT payment(1, '400 days'); SELECT payment(2, '30 days')")
        .await;

    let events = fixture.prune(BodyTable::Events, 2_200, 365).await;
    assert_eq!(
        events,
        BodyCount {
            bodies: 1,
            bytes: 9
        }
    );
    // The request that KRA accepted is a tax record and stays longer.
    assert_eq!(
        fixture.prune(BodyTable::Submissions, 2_200, 365).await,
        BodyCount::default()
    );
    let submissions = fixture.prune(BodyTable::Submissions, 365, 2_200).await;
    assert_eq!(submissions.bodies, 1);
    for table in BodyTable::ALL {
        assert_eq!(
            fixture.prune(table, 365, 365).await,
            BodyCount::default(),
            "a second run finds nothing in {table:?}"
        );
    }

    let rest = "SELECT concat_ws(' ', e.body IS NULL, e.body_sha256 = sha256('webhook 1'), e.facts_sha256 = 'facts',
            s.body IS NULL, s.body_sha256 = sha256('request 1'), s.outcome, i.state, i.invoice_no, i.receipt_no)
        FROM events e JOIN invoices i ON i.event_id = e.id JOIN submissions s ON s.invoice_id = i.id
        WHERE e.delivery_key = 'k1'";
    let row = fixture.client.query_one(rest, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "t t t t t ok success 1 1");
}

/// Statements after which payment `{n}` is open: flagged, contradicted, about to be reversed, with a
/// credit note to file, undecided, with a late look-up to make.
const OPENING: [&str; 6] = [
    "UPDATE payments SET conflict = true WHERE id = ident('1', {n})",
    "UPDATE events SET conflict = true WHERE id = ident('2', {n})",
    "INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, state, event_id)
        VALUES (ident('4', {n}), ident('0', 10), 'daraja', 'r{n}', 'QK{n}', 'waiting', ident('2', {n}))",
    "INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, state, credited, event_id)
        VALUES (ident('4', {n}), ident('0', 10), 'daraja', 'r{n}', 'QK{n}', 'applied', 1, ident('2', {n}));
     INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, sale_id, reversal_id, moved_by)
        VALUES (ident('5', {n}), ident('1', {n}), ident('0', 10), ident('0', 13), 'credit_note', 1, ident('3', {n}),
            ident('4', {n}), 'test')",
    "INSERT INTO payments (id, merchant_id, provider, method, moved_by)
        VALUES (ident('6', {n}), ident('0', 10), 'daraja', 'mobile_money', 'test');
     UPDATE events SET payment_id = ident('6', {n}) WHERE id = ident('2', {n})",
    "UPDATE invoices SET look_up_due_at = now(), look_up_no = 1 WHERE id = ident('3', {n})",
];

#[tokio::test]
async fn bodies_of_what_is_open_stay() {
    let fixture = Fixture::new().await;
    fixture.sql("SELECT payment(1, '400 days')").await;
    for (n, opening) in (2..).zip(OPENING) {
        let opening = opening.replace("{n}", &n.to_string());
        fixture
            .sql(&format!("SELECT payment({n}, '400 days'); {opening}"))
            .await;
    }
    assert_eq!(fixture.prune(BodyTable::Events, 365, 365).await.bodies, 1);
    for n in 2..=7 {
        let kept =
            format!("SELECT octet_length(body)::bigint FROM events WHERE delivery_key = 'k{n}'");
        assert_eq!(fixture.number(&kept).await, 9, "{n}");
        let empty = format!(
            "UPDATE events SET body = NULL, body_sha256 = sha256(body), body_removed_at = now() WHERE delivery_key = 'k{n}'"
        );
        let rule = fixture.refusal("risiti_admin", &empty).await;
        assert_eq!(rule, "body_still_needed", "{n}");
    }

    // Only the payment that an event moved to is open in one case, and not that of the sale.
    let sends = fixture.prune(BodyTable::Submissions, 365, 365).await;
    let kept = "SELECT string_agg(invoice_no::text, ' ' ORDER BY id) FROM submissions WHERE body IS NOT NULL";
    let row = fixture.client.query_one(kept, &[]).await.unwrap();
    assert_eq!((sends.bodies, row.get::<_, &str>(0)), (3, "2 4 5 7"));
}

#[tokio::test]
async fn nothing_of_a_halted_lane_is_removed() {
    let fixture = Fixture::new().await;
    fixture
        .sql("SELECT payment(1, '400 days'); UPDATE lanes SET halted_at = now(), halt_reason = 'test'")
        .await;
    for table in BodyTable::ALL {
        assert_eq!(fixture.prune(table, 365, 365).await, BodyCount::default());
    }
}

#[tokio::test]
async fn sends_of_a_discarded_invoice_stay_until_answered() {
    let fixture = Fixture::new().await;
    fixture
        .sql(
            "INSERT INTO payments (id, merchant_id, provider, method, money_key, amount, currency, authenticated_by,
                state, settled_at, moved_by)
             VALUES (ident('1', 1), ident('0', 10), 'daraja', 'mobile_money', 'QK1', 10, 'KES', 'path', 'success',
                now(), 'test');
             INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
             VALUES (ident('3', 1), ident('1', 1), ident('0', 10), ident('0', 13), 'sale', 10, 'test');
             INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, sent_at, outcome)
             SELECT ident('3', 1), ident('0', 13), 1, ident('0', 0), 'request', now() - interval '400 days', outcome
             FROM unnest(ARRAY['refused', 'unknown', NULL]) outcome;
             UPDATE invoices SET state = 'discarded'",
        )
        .await;
    let pruned = fixture.prune(BodyTable::Submissions, 365, 365).await;
    assert_eq!(pruned, BodyCount::default());
    let empty =
        "UPDATE submissions SET body = NULL, body_sha256 = sha256(body), body_removed_at = now()";
    assert_eq!(
        fixture.refusal("risiti_admin", empty).await,
        "body_still_needed"
    );

    fixture
        .sql("UPDATE submissions SET outcome = 'refused'")
        .await;
    let pruned = fixture.prune(BodyTable::Submissions, 365, 365).await;
    assert_eq!(pruned.bodies, 3);
}

#[tokio::test]
async fn young_bodies_stay_whatever_is_asked_for() {
    let fixture = Fixture::new().await;
    fixture.sql("SELECT payment(1, '179 days')").await;
    for table in BodyTable::ALL {
        assert_eq!(fixture.prune(table, 0, 0).await, BodyCount::default());
    }
    let empty =
        "UPDATE events SET body = NULL, body_sha256 = sha256(body), body_removed_at = now()";
    assert_eq!(
        fixture.refusal("risiti_admin", empty).await,
        "body_still_needed"
    );
    let days = "SELECT extract(epoch FROM body_age_min())::bigint";
    assert_eq!(
        fixture.number(days).await.unsigned_abs(),
        BODY_AGE_MIN.as_secs()
    );
}

#[tokio::test]
async fn evidence_is_emptied_by_the_admin_or_not_changed() {
    let fixture = Fixture::new().await;
    fixture.sql("SELECT payment(1, '400 days')").await;
    let digest = "body_sha256 = sha256(body), body_removed_at = now()";
    for (table, rule) in [
        ("events", "event_is_evidence"),
        ("submissions", "submission_is_evidence"),
    ] {
        let empty = format!("UPDATE {table} SET body = NULL, {digest}");
        for role in [
            "risiti_ledger_worker",
            "risiti_etims_worker",
            "risiti_replay",
        ] {
            assert_eq!(fixture.refusal(role, &empty).await, "42501", "{role}");
        }
        for illegal in [
            "body = 'other'".to_owned(),
            format!("body = 'other', {digest}"),
            "body = NULL, body_removed_at = now(), body_sha256 = 'x'".to_owned(),
            "body_removed_at = now()".to_owned(),
        ] {
            let illegal = format!("UPDATE {table} SET {illegal}");
            assert_eq!(
                fixture.refusal("risiti_admin", &illegal).await,
                rule,
                "{illegal}"
            );
        }
        let back = format!(
            "{empty}; UPDATE {table} SET body = 'webhook 1', body_sha256 = NULL, body_removed_at = NULL"
        );
        assert_eq!(fixture.refusal("risiti_admin", &back).await, rule);
    }
    assert_eq!(
        fixture
            .refusal("risiti_admin", "UPDATE events SET facts_sha256 = 'x'")
            .await,
        "42501"
    );
}

/// A worker has a row locked. It is not waited for.
#[tokio::test]
async fn locked_rows_are_left_for_the_next_run() {
    let fixture = Fixture::new().await;
    fixture
        .sql("SELECT payment(n, '400 days') FROM generate_series(1, 450) n")
        .await;
    let worker = fixture.database.connect().await;
    worker
        .batch_execute("BEGIN; SELECT FROM events WHERE delivery_key = 'k7' FOR NO KEY UPDATE")
        .await
        .unwrap();
    assert_eq!(fixture.prune(BodyTable::Events, 365, 365).await.bodies, 449);
    worker.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(fixture.prune(BodyTable::Events, 365, 365).await.bodies, 1);

    let mut walk = PruneWalk::counting(BodyTable::Submissions, ages(365, 365));
    let mut total = BodyCount::default();
    while let Some(count) = fixture.ledger.prune_next(&mut walk).await.unwrap() {
        total += count;
    }
    assert_eq!(total.bodies, 450);
    let left = "SELECT count(*) FROM submissions WHERE body IS NOT NULL";
    assert_eq!(fixture.number(left).await, 450, "counting removes nothing");
}

#[tokio::test]
async fn dead_letter_that_comes_again_has_its_body_again() {
    let fixture = Fixture::new().await;
    let worker = ledger(&fixture.database, "risiti_ledger_worker");
    let letter = MessageDeadLetter {
        cause: DeadCause::Unreadable,
        merchant_id: Some(MerchantId::from_uuid(MERCHANT)),
        provider: Some(Provider::Daraja),
        event_id: None,
        body: b"no webhook".to_vec(),
        headers: [("risiti-format".to_owned(), "1".to_owned())].into(),
        message: "body: not JSON".to_owned(),
    };
    worker.insert_message_dead_letter(&letter).await.unwrap();
    fixture
        .sql("UPDATE dead_letters SET dead_at = now() - interval '401 days'")
        .await;
    assert_eq!(
        fixture.prune(BodyTable::DeadLetters, 365, 365).await.bodies,
        0,
        "an open dead letter keeps its body"
    );

    fixture
        .sql(
            "UPDATE dead_letters SET solved_at = now() - interval '400 days', solved_as = 'discarded',
                solved_by = 'x', solved_reason = 'x'",
        )
        .await;
    assert_eq!(
        fixture.prune(BodyTable::DeadLetters, 365, 365).await,
        BodyCount {
            bodies: 1,
            bytes: 10
        }
    );
    let reopened = "UPDATE dead_letters SET solved_at = NULL, solved_as = NULL";
    assert_eq!(
        fixture.refusal("risiti_replay", reopened).await,
        "removed_when_solved"
    );

    let known = worker.count_dead_letter_again(&letter).await.unwrap();
    assert!(!known, "nobody has these bytes any more");
    worker.insert_message_dead_letter(&letter).await.unwrap();
    let whole = "SELECT count(*) FROM dead_letters WHERE body = 'no webhook' AND solved_at IS NULL AND deliveries = 2
        AND headers ? 'risiti-format'";
    assert_eq!(fixture.number(whole).await, 1);
}
