//! What `run` tells before and after it moves something.

use risiti_queue::{Broker, BrokerError, Target};
use risiti_testkit::{Namespace, amqp_url, eventually};
use uuid::Uuid;

use crate::command_output::CommandOutput;
use crate::fixture::{Fixture, WAIT_MAX};

async fn dry_run(fixture: &Fixture) -> serde_json::Value {
    let output = fixture.replay(&["run", "--dry-run", "--json"]).await;
    output.expect_code(0).lines().remove(0)
}

#[tokio::test]
async fn dry_run_groups_by_words_without_their_numbers() {
    let fixture = Fixture::new().await;
    for words in ["invcNo 4 is used", "invcNo 17 is used", "no item"] {
        let invoice = fixture.refused_sale_without_message("891").await;
        fixture
            .execute(&format!(
                "UPDATE dead_letters SET message = '{words}' WHERE id = '{invoice}'"
            ))
            .await;
    }
    let report = dry_run(&fixture).await;
    let group = |place: usize| {
        let cause = &report["causes"][place];
        (
            cause["message"].as_str().unwrap(),
            cause["count"].as_i64().unwrap(),
        )
    };
    assert_eq!(
        [group(0), group(1)],
        [("invcNo N is used", 2), ("no item", 1)]
    );
}

#[tokio::test]
async fn dry_run_tells_what_nobody_has_corrected() {
    let fixture = Fixture::new().await;
    fixture.refused_sale_without_message("891").await;
    assert_eq!(dry_run(&fixture).await["unchanged_refusals"], 1);
    fixture
        .execute(
            "INSERT INTO operator_actions (id, operator, command, filter)
             SELECT gen_random_uuid(), 'jane', 'device update', jsonb_build_object('device_id', id) FROM devices",
        )
        .await;
    assert_eq!(dry_run(&fixture).await["unchanged_refusals"], 0);
}

#[tokio::test]
async fn dry_run_tells_what_would_be_sent() {
    let fixture = Fixture::new().await;
    for _ in 0..3 {
        fixture.refused_sale_without_message("891").await;
    }
    let report = dry_run(&fixture).await;
    let device = &report["would_send"][0];
    assert_eq!(device["device_id"], fixture.device.to_string());
    assert_eq!(device["sales"], 3);
    assert_eq!(device["sold"], "348.00");
    assert_eq!(device["credit_notes"], 0);

    let two = ["run", "--dry-run", "--limit", "2"];
    let output = fixture.replay(&two).await.expect_code(0);
    let wanted = format!(
        "would send for device {}: 2 sales of KES 232.00, under numbers from 1 on; its lane is idle",
        fixture.device
    );
    assert!(output.stdout.contains(&wanted), "{}", output.stdout);
}

#[tokio::test]
async fn nothing_matched_hints_at_discarded_ones() {
    let fixture = Fixture::new().await;
    let invoice = fixture.refused_sale("891").await.to_string();
    let discard = ["discard", "--id", &invoice, "--reason", "x", "--yes"];
    fixture.replay(&discard).await.expect_code(0);
    let run = fixture.replay(&["run", "--yes"]).await.expect_code(0);
    assert!(
        run.stderr.contains("1 discarded ones match"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--discarded"), "{}", run.stderr);
}

#[tokio::test]
async fn run_that_waits_tells_what_became_of_each_invoice() {
    let fixture = Fixture::new().await;
    let invoice: Uuid = fixture.refused_sale("891").await;
    let run = ["run", "--yes", "--json", "--wait", "600ms"];
    let lines = fixture.replay(&run).await.expect_code(0).lines();
    assert_eq!(lines[0]["invoice_id"], invoice.to_string());
    assert_eq!(lines[0]["state"], "pending");
    assert_eq!(lines[1]["replayed"], 1);
}

/// Who reads only the exit code must not take new deaths for a success.
#[tokio::test]
async fn run_whose_invoices_die_again_exits_with_4() {
    let fixture = Fixture::new().await;
    let filed = fixture.refused_sale("891").await;
    let dead = fixture.refused_sale("891").await;
    let run = fixture.program(&["run", "--yes", "--wait", "60s"]);
    let running = tokio::spawn(async move { run.output().await });
    eventually("both are moved", WAIT_MAX, async || {
        (fixture.count_invoices("pending").await == 2).then_some(())
    })
    .await;
    fixture
        .execute(&format!(
            "UPDATE invoices SET state = 'submitting', invoice_no = 1 WHERE id = '{dead}';
             UPDATE invoices SET state = 'dead', invoice_no = NULL WHERE id = '{dead}';
             UPDATE dead_letters SET code = '910', solved_at = NULL, solved_as = NULL, solved_by = NULL,
                 solved_reason = NULL WHERE id = '{dead}';
             UPDATE invoices SET state = 'submitting', invoice_no = 1 WHERE id = '{filed}';
             UPDATE invoices SET state = 'success', receipt_no = 7 WHERE id = '{filed}';"
        ))
        .await;
    let output = CommandOutput::from(running.await.unwrap()).expect_code(4);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(
        lines.last().copied(),
        Some("1 filed, 1 dead again (910), 0 still waiting")
    );
    let of = |invoice: Uuid| {
        let id = invoice.to_string();
        *lines.iter().find(|line| line.starts_with(&id)).unwrap()
    };
    assert!(
        of(filed).ends_with("acme  R  KES 116.00  filed as number 1, KRA's receipt 7"),
        "{}",
        of(filed)
    );
    assert!(of(dead).contains("910"), "{}", of(dead));
}

#[tokio::test]
async fn long_run_tells_its_progress_without_a_terminal() {
    let fixture = Fixture::new().await;
    for _ in 0..2 {
        fixture.refused_sale_without_message("891").await;
    }
    let run = ["run", "--yes", "--json", "--rate", "15/m", "--wait", "5s"];
    let output = fixture.replay(&run).await.expect_code(0);
    for words in ["1 of 2 done", "0 filed, 0 dead again, 2 still waiting"] {
        assert!(output.stderr.contains(words), "{words}\n{}", output.stderr);
    }
    let report = output.lines().pop().unwrap();
    assert_eq!(report["still_waiting"], 2);
    assert_eq!(report["dead_again"], 0);
}

/// A namespace that is only misspelled gets no queues, and nothing is moved.
#[tokio::test]
async fn run_in_a_namespace_without_queues_is_refused() {
    let fixture = Fixture::new().await;
    fixture.refused_sale("891").await;
    let misspelled = Namespace::unique();
    let name = misspelled.name().to_owned();
    for command in [
        &["run", "--yes"][..],
        &["discard", "--yes", "--reason", "x"],
    ] {
        let program = fixture
            .program(command)
            .env("RISITI_NAMESPACE", name.clone());
        let output = CommandOutput::from(program.output().await).expect_code(2);
        let wanted = format!("there is no queue {name}.dead: is RISITI_NAMESPACE right?");
        assert!(output.stderr.contains(&wanted), "{}", output.stderr);
        assert!(!output.stderr.contains("lapin"), "{}", output.stderr);
    }
    assert_eq!(fixture.count_invoices("dead").await, 1);
    let looking = Broker::connect_without_declaring(&amqp_url(), &name, "test").unwrap();
    looking.wait_up().await;
    let missing = looking.depth(Target::Lanes).await.unwrap_err();
    assert!(matches!(missing, BrokerError::NoSuchQueue(_)), "{missing}");
}
