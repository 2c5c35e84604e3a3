//! What the database refuses by itself, whatever a program or a person with psql asks of it.

mod test_device;

use risiti_testkit::TestDatabase;
use test_device::TestDevice;
use tokio_postgres::Client;
use uuid::Uuid;

const MERCHANT: Uuid = Uuid::from_u128(0xa);
const DEVICE: Uuid = Uuid::from_u128(0xd);

/// A payment that succeeded, and its sale.
const SALE: &str = "
    INSERT INTO payments (id, merchant_id, provider, method, money_key, amount, currency, authenticated_by,
        state, settled_at, moved_by)
        VALUES ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-00000000000a', 'daraja',
            'mobile_money', 'QK1', 10, 'KES', 'path', 'success', now(), 'test');
    INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
        VALUES ('00000000-0000-0000-0000-0000000000c1', '00000000-0000-0000-0000-0000000000b1',
            '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000d', 'sale', 10, 'test');";

/// A merchant with a device and a paid sale.
async fn paid_sale() -> (TestDatabase, Client) {
    let database = TestDatabase::create().await;
    risiti_ledger::migrate(&database.url().into())
        .await
        .expect("the schema");
    let client = database.connect().await;
    client
        .execute(
            "INSERT INTO merchants (id, slug, name) VALUES ($1, 'acme', 'Acme')",
            &[&MERCHANT],
        )
        .await
        .expect("a merchant");
    TestDevice::new(DEVICE, MERCHANT).insert(&client).await;
    client.batch_execute(SALE).await.expect("a sale");
    (database, client)
}

/// Runs statements in a transaction that is rolled back. Returns the SQLSTATE and the constraint
/// that refused them.
async fn refusal(client: &Client, statements: &str) -> (String, String) {
    client.batch_execute("BEGIN").await.expect("a transaction");
    let error = client
        .batch_execute(statements)
        .await
        .expect_err(statements);
    client.batch_execute("ROLLBACK").await.expect("a rollback");
    let error = error.as_db_error().expect("an answer of the server");
    (
        error.code().code().to_owned(),
        error.constraint().unwrap_or_default().to_owned(),
    )
}

async fn refused_by(client: &Client, constraint: &str, statements: &str) {
    assert_eq!(
        refusal(client, statements).await.1,
        constraint,
        "{statements}"
    );
}

#[tokio::test]
async fn a_payment_moves_only_where_it_may() {
    let (_database, client) = paid_sale().await;
    for state in ["pending", "failed", "folded"] {
        refused_by(
            &client,
            "payment_move_legal",
            &format!("UPDATE payments SET state = '{state}'"),
        )
        .await;
    }
    let reversed = "UPDATE payments SET state = 'reversed';";
    for state in ["pending", "success", "failed", "folded"] {
        let back = format!("{reversed} UPDATE payments SET state = '{state}'");
        refused_by(&client, "payment_move_legal", &back).await;
    }
    refused_by(
        &client,
        "money_key_set_once",
        "UPDATE payments SET money_key = 'QK2'",
    )
    .await;
}

#[tokio::test]
async fn what_a_settled_payment_brought_in_stays() {
    let (_database, client) = paid_sale().await;
    let changes = [
        "amount = 11",
        "currency = 'USD'",
        "settled_at = now() - interval '1 day'",
    ];
    for change in changes {
        for state in ["success", "reversed"] {
            let change =
                format!("UPDATE payments SET state = '{state}'; UPDATE payments SET {change}");
            refused_by(&client, "settled_once", &change).await;
        }
    }
    // A payment that is pending still gets its facts.
    client
        .batch_execute(
            "INSERT INTO payments (id, merchant_id, provider, method, moved_by)
             SELECT '00000000-0000-0000-0000-0000000000b2', id, 'daraja', 'mobile_money', 'test' FROM merchants;
             UPDATE payments SET amount = 5, currency = 'KES' WHERE state = 'pending'",
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn what_a_person_did_is_ended_once_and_not_rewritten() {
    let (_database, client) = paid_sale().await;
    client
        .batch_execute(
            "INSERT INTO operator_actions (id, operator, command, reason)
             VALUES ('00000000-0000-0000-0000-0000000000ac', 'wanjiru', 'run', 'why')",
        )
        .await
        .unwrap();
    let end = "UPDATE operator_actions SET matched = 1, done = 1, skipped = 0, failed = 0, ended_at = now()";
    for change in [
        "operator = 'otieno'",
        "reason = 'other'",
        "at = now()",
        "command = 'discard'",
        "filter = '{\"a\": 1}'",
        "changes = '{}'",
    ] {
        let change = format!("{end}, {change}");
        refused_by(&client, "operator_action_stays", &change).await;
    }
    refused_by(
        &client,
        "operator_action_stays",
        "UPDATE operator_actions SET done = 1",
    )
    .await;
    refused_by(&client, "operator_action_stays", &format!("{end}; {end}")).await;
    client.batch_execute(end).await.unwrap();
    for statement in ["DELETE FROM operator_actions", "TRUNCATE operator_actions"] {
        assert_eq!(refusal(&client, statement).await.0, "23001", "{statement}");
    }
}

/// A payment that is stored as paid was pending first, and both rows of its history say so.
#[tokio::test]
async fn a_payment_starts_pending_and_its_history_shows_it() {
    let (_database, client) = paid_sale().await;
    let history = "SELECT string_agg(concat_ws(' ', coalesce(from_state, '-'), to_state, reason, event_id), ', ' ORDER BY id)
        FROM transitions WHERE subject_id = ";
    let insert = "INSERT INTO payments (id, merchant_id, provider, method, money_key, amount, currency,
            authenticated_by, state, settled_at, moved_by, moved_because, moved_event)
        SELECT '00000000-0000-0000-0000-0000000000b9', id, 'daraja', 'mobile_money', 'QK9', 1, 'KES', 'path', STATE, SETTLED,
            'test', 'because', '00000000-0000-0000-0000-0000000000e9' FROM merchants;";
    for (state, expected) in [
        (
            "pending",
            "- pending because 00000000-0000-0000-0000-0000000000e9",
        ),
        (
            "success",
            "- pending 00000000-0000-0000-0000-0000000000e9, pending success because 00000000-0000-0000-0000-0000000000e9",
        ),
    ] {
        let settled = if state == "success" { "now()" } else { "NULL" };
        let insert = insert
            .replace("STATE", &format!("'{state}'"))
            .replace("SETTLED", settled);
        client
            .batch_execute(&format!("BEGIN; {insert}"))
            .await
            .unwrap();
        let row = client
            .query_one(
                &format!("{history} '00000000-0000-0000-0000-0000000000b9'"),
                &[],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), expected);
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    let reversed = insert
        .replace("STATE", "'reversed'")
        .replace("SETTLED", "now()");
    refused_by(&client, "payment_move_legal", &reversed).await;
}

#[tokio::test]
async fn nothing_is_recorded_for_what_does_not_exist() {
    let (_database, client) = paid_sale().await;
    let event = "INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
            received_at, body, payment_id)
        SELECT gen_random_uuid(), MERCHANT, 'daraja', 'stk', 'k', '', 'path', now(), '', PAYMENT FROM merchants m;";
    let payment = "INSERT INTO payments (id, merchant_id, provider, method, moved_by)
        VALUES ('00000000-0000-0000-0000-0000000000b2', MERCHANT, 'daraja', 'mobile_money', 'test');";
    let invoice = "INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, event_id, moved_by)
        SELECT gen_random_uuid(), PAYMENT, merchant_id, DEVICE, 'sale', 10, EVENT, 'test' FROM devices;";
    let known = [
        ("MERCHANT", "'00000000-0000-0000-0000-00000000000a'"),
        ("PAYMENT", "'00000000-0000-0000-0000-0000000000b2'"),
        ("DEVICE", "'00000000-0000-0000-0000-00000000000d'"),
        ("EVENT", "NULL"),
    ];
    let with_known = |statement: &str| {
        known
            .iter()
            .fold(statement.to_owned(), |statement, (name, value)| {
                statement.replace(name, value)
            })
    };
    for (constraint, statement, unknown) in [
        ("event_of_merchant", event, "MERCHANT"),
        ("event_of_payment", event, "PAYMENT"),
        ("payment_of_merchant", payment, "MERCHANT"),
        ("invoice_of_payment", invoice, "PAYMENT"),
        ("invoice_of_device", invoice, "DEVICE"),
        ("invoice_of_event", invoice, "EVENT"),
    ] {
        let mut statement = with_known(&statement.replace(unknown, "gen_random_uuid()"));
        if unknown != "PAYMENT" && constraint != "payment_of_merchant" {
            statement = format!("{} {statement}", with_known(payment));
        }
        refused_by(&client, constraint, &statement).await;
    }
    let all = [payment, event, invoice].map(with_known).concat();
    client.batch_execute(&all).await.unwrap();
    for (constraint, change) in [
        (
            "event_of_payment",
            "UPDATE events SET payment_id = gen_random_uuid()",
        ),
        (
            "invoice_of_device",
            "UPDATE invoices SET device_id = gen_random_uuid()",
        ),
    ] {
        refused_by(&client, constraint, change).await;
    }
}

/// A merchant of another payment may not own an event or an invoice of it either.
#[tokio::test]
async fn a_payments_rows_are_of_its_merchant() {
    let (_database, client) = paid_sale().await;
    client
        .batch_execute(
            "INSERT INTO merchants (id, slug, name) VALUES ('00000000-0000-0000-0000-0000000000aa', 'other', 'Other')",
        )
        .await
        .unwrap();
    let invoice = "INSERT INTO payments (id, merchant_id, provider, method, moved_by)
            SELECT '00000000-0000-0000-0000-0000000000b2', merchant_id, 'daraja', 'mobile_money', 'test' FROM devices;
        INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
            VALUES (gen_random_uuid(), '00000000-0000-0000-0000-0000000000b2', '00000000-0000-0000-0000-0000000000aa',
                '00000000-0000-0000-0000-00000000000d', 'sale', 10, 'test')";
    refused_by(&client, "invoice_of_payment", invoice).await;
    for change in [
        "UPDATE payments SET merchant_id = '00000000-0000-0000-0000-0000000000aa'",
        "UPDATE payments SET provider = 'paystack'",
        "UPDATE payments SET id = gen_random_uuid()",
        "UPDATE invoices SET payment_id = gen_random_uuid()",
        "UPDATE invoices SET merchant_id = '00000000-0000-0000-0000-0000000000aa'",
    ] {
        refused_by(&client, "owner_set_once", change).await;
    }
}

#[tokio::test]
async fn what_is_recorded_is_never_deleted() {
    let (_database, client) = paid_sale().await;
    for statement in [
        "DELETE FROM events",
        "DELETE FROM payments",
        "DELETE FROM invoices",
        "TRUNCATE events, payments, invoices CASCADE",
    ] {
        assert_eq!(refusal(&client, statement).await.0, "23001", "{statement}");
    }
    refused_by(&client, "owner_stays", "DELETE FROM merchants").await;
    refused_by(
        &client,
        "owner_stays",
        "DELETE FROM lanes; DELETE FROM devices",
    )
    .await;
    client
        .batch_execute(
            "INSERT INTO merchants (id, slug, name) VALUES ('00000000-0000-0000-0000-0000000000aa', 'other', 'Other');
             DELETE FROM merchants WHERE slug = 'other'",
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn no_payment_is_success_without_its_proof() {
    let (_database, client) = paid_sale().await;
    for missing in ["money_key", "authenticated_by", "amount", "currency"] {
        let values = |column| if column == missing { "NULL" } else { "x" };
        let insert = format!(
            "INSERT INTO payments (id, merchant_id, provider, method, money_key, amount, currency,
                authenticated_by, state, settled_at, moved_by)
             SELECT gen_random_uuid(), id, 'daraja', 'mobile_money', NULLIF('{}', 'NULL'),
                CASE WHEN '{}' = 'NULL' THEN NULL ELSE 1 END, CASE WHEN '{}' = 'NULL' THEN NULL ELSE 'KES' END,
                NULLIF('{}', 'NULL'), 'success', now(), 'test' FROM merchants",
            values("money_key"),
            values("amount"),
            values("currency"),
            values("authenticated_by"),
        );
        refused_by(&client, "success_has_money_key", &insert).await;
    }
    refused_by(
        &client,
        "settled_iff_money_moved",
        "INSERT INTO payments (id, merchant_id, provider, method, settled_at, moved_by)
            SELECT gen_random_uuid(), id, 'daraja', 'mobile_money', now(), 'test' FROM merchants",
    )
    .await;
}

#[tokio::test]
async fn one_money_key_is_one_payment() {
    let (_database, client) = paid_sale().await;
    let again = "INSERT INTO payments (id, merchant_id, provider, method, money_key, moved_by)
        SELECT gen_random_uuid(), id, 'daraja', 'mobile_money', 'QK1', 'test' FROM merchants";
    refused_by(&client, "payment_money_key_unique", again).await;
}

#[tokio::test]
async fn an_invoice_moves_only_where_it_may() {
    let (_database, client) = paid_sale().await;
    refused_by(
        &client,
        "invoice_move_legal",
        "UPDATE invoices SET state = 'dead'; UPDATE invoices SET state = 'submitting', invoice_no = 1",
    )
    .await;
    let sent = "UPDATE invoices SET state = 'submitting', invoice_no = 1;";
    refused_by(
        &client,
        "invoice_move_legal",
        &format!("{sent} UPDATE invoices SET state = 'discarded', invoice_no = NULL"),
    )
    .await;
    let filed = format!("{sent} UPDATE invoices SET state = 'success', receipt_no = 7;");
    for (state, number) in [
        ("pending", "NULL"),
        ("submitting", "1"),
        ("dead", "NULL"),
        ("discarded", "NULL"),
    ] {
        let back = format!(
            "{filed} UPDATE invoices SET state = '{state}', invoice_no = {number}, receipt_no = NULL"
        );
        refused_by(&client, "invoice_move_legal", &back).await;
    }
    refused_by(
        &client,
        "receipt_issued_once",
        &format!("{filed} UPDATE invoices SET receipt_no = 8"),
    )
    .await;
}

#[tokio::test]
async fn number_and_receipt_exist_exactly_when_due() {
    let (_database, client) = paid_sale().await;
    refused_by(
        &client,
        "number_held_iff_out",
        "UPDATE invoices SET state = 'submitting'",
    )
    .await;
    refused_by(
        &client,
        "number_held_iff_out",
        "UPDATE invoices SET invoice_no = 1",
    )
    .await;
    let sent = "UPDATE invoices SET state = 'submitting', invoice_no = 1;";
    refused_by(
        &client,
        "success_has_receipt",
        &format!("{sent} UPDATE invoices SET state = 'success'"),
    )
    .await;
    let second = "INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, moved_by)
        SELECT gen_random_uuid(), payment_id, merchant_id, device_id, 'sale', 10, 'test' FROM invoices";
    refused_by(&client, "one_sale_per_payment", second).await;
}

#[tokio::test]
async fn a_lane_sends_one_at_a_time_and_reuses_no_taken_number() {
    let (_database, client) = paid_sale().await;
    let second = "UPDATE invoices SET state = 'submitting', invoice_no = 1;
        INSERT INTO payments (id, merchant_id, provider, method, moved_by)
            SELECT '00000000-0000-0000-0000-0000000000b2', id, 'daraja', 'mobile_money', 'test' FROM merchants;
        INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, amount, state, invoice_no, moved_by)
            SELECT gen_random_uuid(), '00000000-0000-0000-0000-0000000000b2', merchant_id, device_id, 'sale', 1,
                'submitting', 2, 'test' FROM invoices";
    refused_by(&client, "one_submitting_per_lane", second).await;

    let sent = |outcome: &str| {
        format!(
            "UPDATE lanes SET next_invoice_no = 5;
             INSERT INTO submissions (invoice_id, device_id, invoice_no, claim_id, body, outcome)
                SELECT id, device_id, 4, gen_random_uuid(), '', {outcome} FROM invoices;"
        )
    };
    let filed = "UPDATE lanes SET next_invoice_no = 5;
        UPDATE invoices SET state = 'submitting', invoice_no = 4;";
    let foreign = "UPDATE lanes SET next_invoice_no = 5;
        INSERT INTO foreign_invoice_numbers SELECT device_id, 4, 'jane', 'x' FROM lanes;";
    for used in [&sent("NULL"), &sent("'unknown'"), filed, foreign] {
        let back = format!("{used} UPDATE lanes SET next_invoice_no = 4");
        refused_by(&client, "invoice_no_never_back", &back).await;
    }
    let refused = sent("'refused'");
    client
        .batch_execute(&format!("{refused} UPDATE lanes SET next_invoice_no = 4"))
        .await
        .unwrap();
}

#[tokio::test]
async fn every_move_leaves_a_row_that_stays() {
    let (_database, client) = paid_sale().await;
    client
        .batch_execute(
            "UPDATE payments SET state = 'reversed', moved_by = 'wanjiru', moved_because = 'refund'",
        )
        .await
        .unwrap();
    let row = client
        .query_one(
            "SELECT from_state, to_state, actor, reason FROM transitions ORDER BY id DESC LIMIT 1",
            &[],
        )
        .await
        .unwrap();
    let texts: Vec<&str> = (0..4).map(|column| row.get(column)).collect();
    assert_eq!(texts, ["success", "reversed", "wanjiru", "refund"]);

    for statement in [
        "UPDATE transitions SET actor = 'x'",
        "DELETE FROM transitions",
        "TRUNCATE transitions",
    ] {
        assert_eq!(refusal(&client, statement).await.0, "23001", "{statement}");
    }
}

#[tokio::test]
async fn an_event_is_evidence() {
    let (_database, client) = paid_sale().await;
    client
        .batch_execute(
            "INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
                received_at, body)
             SELECT gen_random_uuid(), id, 'daraja', 'stk', 'k', '', 'path', now(), 'bytes' FROM merchants",
        )
        .await
        .unwrap();
    for change in [
        "body = 'others'",
        "delivery_key = 'l'",
        "provider = 'paystack'",
    ] {
        refused_by(
            &client,
            "event_is_evidence",
            &format!("UPDATE events SET {change}"),
        )
        .await;
    }
    client
        .batch_execute("UPDATE events SET duplicates = duplicates + 1")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_branch_has_one_lane_and_a_merchant_one_default() {
    let (_database, client) = paid_sale().await;
    let columns = "merchant_id, environment, dialect, base_url, pin, serial, item_code, item_class, item_name, tax_type";
    let copy = |branch: &str, default: bool| {
        format!(
            "INSERT INTO devices (id, {columns}, branch, is_default)
             SELECT gen_random_uuid(), {columns}, '{branch}', {default} FROM devices LIMIT 1;"
        )
    };
    refused_by(&client, "device_per_branch_unique", &copy("00", false)).await;
    let two = format!("{} {}", copy("01", true), copy("02", true));
    refused_by(&client, "one_default_device_per_merchant", &two).await;
}

#[tokio::test]
async fn credit_notes_stay_within_their_sale() {
    let (_database, client) = paid_sale().await;
    client
        .batch_execute(
            "INSERT INTO events (id, merchant_id, provider, kind, delivery_key, facts_sha256, authenticated_by,
                received_at, body)
             SELECT gen_random_uuid(), m.id, 'daraja', 'stk', 'k', '', 'path', now(), '' FROM merchants m;
             INSERT INTO reversals (id, merchant_id, provider, reversal_key, of_money_key, state, event_id)
             SELECT gen_random_uuid(), e.merchant_id, 'daraja', 'r' || n, 'QK1', 'waiting', e.id
             FROM events e, generate_series(1, 3) n;",
        )
        .await
        .unwrap();
    let note = |key: &str, amount: &str, state: &str| {
        format!(
            "INSERT INTO invoices (id, payment_id, merchant_id, device_id, kind, state, amount, sale_id, reversal_id,
                moved_by)
             SELECT gen_random_uuid(), s.payment_id, s.merchant_id, s.device_id, 'credit_note', '{state}', {amount},
                s.id, r.id, 'test'
             FROM invoices s, reversals r WHERE s.kind = 'sale' AND r.reversal_key = '{key}';"
        )
    };
    let rule = "credit_notes_within_sale";
    refused_by(&client, rule, &note("r1", "10.01", "pending")).await;
    let both = note("r1", "6", "pending") + &note("r2", "4", "pending");
    refused_by(
        &client,
        rule,
        &(both.clone() + &note("r3", "0.01", "pending")),
    )
    .await;

    // A discarded one counts when it comes back, and not before.
    let beside = both + &note("r3", "1", "discarded");
    client.batch_execute(&beside).await.unwrap();
    for change in [
        "UPDATE invoices SET state = 'pending' WHERE state = 'discarded'",
        "UPDATE invoices SET amount = 9 WHERE kind = 'sale'",
        "UPDATE invoices SET amount = 7 WHERE amount = 6",
    ] {
        refused_by(&client, rule, change).await;
    }
    // KRA has it, whatever we would rather have.
    client
        .batch_execute(
            "UPDATE invoices SET state = 'success', invoice_no = 9, receipt_no = 9 WHERE state = 'discarded'",
        )
        .await
        .unwrap();
}
