//! The order of messages does not matter, nor how often they come, in which batches and through how
//! many workers.
//!
//! The ledger ends in the state that a model says, and the model knows nothing of order.

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use risiti_ledger::IncomingEvent;
use risiti_providers::ReversalOutcome::{Done, Pending};

use crate::fixture::{Fixture, Merchant, again};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Report {
    TimedOut,
    Cancelled,
    StkPaid,
    C2b,
    /// For a short code that is not registered.
    C2bElsewhere,
    RefundAnnounced,
    RefundOf30,
    RefundOf70,
    RefundOfAll,
}

/// Every set of reports about one sale that does not contradict itself: amounts agree, refunds stay
/// within the sale, and one delivery key has one meaning.
fn reports() -> impl Strategy<Value = Vec<Report>> {
    use Report::*;
    let paid = prop_oneof![
        Just(vec![]),
        Just(vec![StkPaid]),
        Just(vec![StkPaid, C2b]),
        Just(vec![C2b]),
        Just(vec![C2bElsewhere]),
        Just(vec![StkPaid, C2bElsewhere])
    ];
    let failed = subsequence(vec![TimedOut, Cancelled], 0..=2);
    let refunds = prop_oneof![
        subsequence(vec![RefundAnnounced, RefundOf30, RefundOf70], 0..=3),
        subsequence(vec![RefundAnnounced, RefundOf30, RefundOfAll], 0..=3),
    ];
    (paid, failed, refunds).prop_map(|(paid, failed, refunds)| [paid, failed, refunds].concat())
}

/// How the reports of several sales are delivered.
#[derive(Clone, Debug)]
struct Schedule {
    /// (sale, report), for the first time or again.
    deliveries: Vec<(usize, Report)>,
    batch_size: usize,
    workers: usize,
}

fn schedules() -> impl Strategy<Value = (Vec<Vec<Report>>, Schedule, Schedule)> {
    prop::collection::vec(reports(), 1..4).prop_flat_map(|sales| {
        let once: Vec<(usize, Report)> = sales
            .iter()
            .enumerate()
            .flat_map(|(sale, reports)| reports.iter().map(move |report| (sale, *report)))
            .collect();
        (Just(sales), schedule(once.clone()), schedule(once))
    })
}

fn schedule(once: Vec<(usize, Report)>) -> impl Strategy<Value = Schedule> {
    let times = prop::collection::vec(1usize..4, once.len());
    let deliveries = times.prop_flat_map(move |times| {
        let deliveries: Vec<_> = once
            .iter()
            .zip(times)
            .flat_map(|(report, times)| std::iter::repeat_n(*report, times))
            .collect();
        Just(deliveries).prop_shuffle()
    });
    (deliveries, 1usize..6, 1usize..4).prop_map(|(deliveries, batch_size, workers)| Schedule {
        deliveries,
        batch_size,
        workers,
    })
}

/// The lines expected for one sale, from the set of its reports.
fn model(sale: usize, reports: &[Report]) -> Vec<String> {
    use Report::*;
    let contains = |report: Report| reports.contains(&report);
    let receipt = format!("UIS{sale}");
    let checkout = format!("ws_CO_{sale}");
    let mut lines = Vec::new();
    let flag = if contains(C2bElsewhere) {
        " flagged (the short code is not registered for this merchant)"
    } else {
        ""
    };
    let credited = match (
        contains(RefundOfAll),
        contains(RefundOf30),
        contains(RefundOf70),
    ) {
        (true, _, _) => 100,
        (false, part, other) => 30 * i64::from(part) + 70 * i64::from(other),
    };
    let paid = contains(StkPaid) || contains(C2b);
    if paid || contains(C2bElsewhere) {
        let state = if !paid {
            "pending"
        } else if credited == 100 {
            "reversed"
        } else {
            "success"
        };
        let checkout = if contains(StkPaid) { &checkout } else { "-" };
        lines.push(format!("{state} {receipt} {checkout} 100.00 KES{flag}"));
    }
    if !contains(StkPaid) && (contains(TimedOut) || contains(Cancelled)) {
        // The smallest text of the reasons stays.
        let reason = if contains(Cancelled) {
            "result 1032"
        } else {
            "result 1037"
        };
        lines.push(format!("failed - {checkout} - ({reason})"));
    }
    if paid {
        lines.push(format!("filed 100, credited {credited}"));
    }
    lines
}

fn event(merchant: &Merchant, short_code: &str, sale: usize, report: Report) -> IncomingEvent {
    let receipt = format!("UIS{sale}");
    let checkout = format!("ws_CO_{sale}");
    let refund =
        |name: &str, amount| merchant.reversal(&format!("{name}{sale}"), &receipt, amount, Done);
    match report {
        Report::TimedOut => merchant.stk(&checkout, 1037, None, ""),
        Report::Cancelled => merchant.stk(&checkout, 1032, None, ""),
        Report::StkPaid => merchant.stk(&checkout, 0, Some(&receipt), "100"),
        Report::C2b => merchant.c2b(&receipt, "100.0", short_code),
        Report::C2bElsewhere => merchant.c2b(&receipt, "100.0", "99999"),
        Report::RefundAnnounced => {
            merchant.reversal(&format!("a{sale}"), &receipt, Some("30"), Pending)
        }
        Report::RefundOf30 => refund("a", Some("30")),
        Report::RefundOf70 => refund("b", Some("70")),
        Report::RefundOfAll => refund("c", None),
    }
}

/// Delivers all of it to a merchant of its own, and reads what the ledger says then.
async fn record_all(fixture: &Fixture, schedule: &Schedule) -> Vec<String> {
    let (merchant, _) = fixture.ordinary_merchant().await;
    let short_code = fixture.code_of(&merchant).await;
    let mut first: Vec<((usize, Report), IncomingEvent)> = Vec::new();
    let mut lots: Vec<Vec<IncomingEvent>> = vec![Vec::new(); schedule.workers];
    for (nth, report) in schedule.deliveries.iter().enumerate() {
        let known = first
            .iter()
            .find(|(known, _)| known == report)
            .map(|(_, event)| again(event));
        let event = known.unwrap_or_else(|| event(&merchant, &short_code, report.0, report.1));
        first.push((*report, event.clone()));
        lots[nth % schedule.workers].push(event);
    }
    let workers = lots.iter().map(|lot| async {
        for batch in lot.chunks(schedule.batch_size) {
            fixture.ledger.record_batch(batch).await.unwrap();
        }
    });
    futures_util::future::join_all(workers).await;

    let mut lines = fixture.payments(&merchant).await;
    let filed = "SELECT concat('filed ', max(amount) FILTER (WHERE kind = 'sale')::bigint, ', credited ',
                        coalesce(sum(amount) FILTER (WHERE kind = 'credit_note'), 0)::bigint)
                 FROM invoices WHERE merchant_id = $1 GROUP BY payment_id HAVING count(*) FILTER (WHERE kind = 'sale') = 1";
    lines.extend(fixture.lines(filed, &merchant).await);
    let counted =
        "SELECT count(*) + coalesce(sum(duplicates), 0)::bigint FROM events WHERE merchant_id = $1";
    assert_eq!(
        fixture.number(counted, &merchant).await,
        i64::try_from(schedule.deliveries.len()).unwrap()
    );
    lines.sort();
    lines
}

#[test]
fn result_ignores_order_repetition_batches_and_workers() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let fixture = runtime.block_on(Fixture::new());
    let config = Config {
        cases: 64,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        // Each step of shrinking records everything again for another merchant.
        max_shrink_iters: 256,
        ..Config::default()
    };
    let law = |(sales, one, other): (Vec<Vec<Report>>, Schedule, Schedule)| {
        let mut expected: Vec<String> = sales
            .iter()
            .enumerate()
            .flat_map(|(sale, reports)| model(sale, reports))
            .collect();
        expected.sort();
        for schedule in [&one, &other] {
            let found = runtime.block_on(record_all(&fixture, schedule));
            if found != expected {
                return Err(TestCaseError::fail(format!(
                    "found {found:#?}\nmodel {expected:#?}"
                )));
            }
        }
        Ok(())
    };
    let outcome = TestRunner::new(config).run(&schedules(), law);
    runtime.block_on(async { drop(fixture) });
    outcome.unwrap();
}
