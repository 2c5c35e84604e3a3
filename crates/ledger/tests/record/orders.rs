//! Whatever order messages come in, however often, in whatever batches and through however many workers
//! at once: the books end the same, and as a model that knows nothing of order says.

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use risiti_ledger::IncomingEvent;
use risiti_providers::ReversalOutcome::{Done, Pending};

use crate::kit::{Kit, Merchant, again};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
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

/// All of a sale that can be said without contradicting itself: told amounts agree, refunds stay within
/// the sale, and one delivery key tells one thing.
fn words() -> impl Strategy<Value = Vec<Word>> {
    use Word::*;
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

/// How the words of several sales are told.
#[derive(Clone, Debug)]
struct Telling {
    /// (sale, word), told again or for the first time.
    told: Vec<(usize, Word)>,
    batch_size: usize,
    workers: usize,
}

fn tellings() -> impl Strategy<Value = (Vec<Vec<Word>>, Telling, Telling)> {
    prop::collection::vec(words(), 1..4).prop_flat_map(|sales| {
        let once: Vec<(usize, Word)> = sales
            .iter()
            .enumerate()
            .flat_map(|(sale, words)| words.iter().map(move |word| (sale, *word)))
            .collect();
        (Just(sales), telling(once.clone()), telling(once))
    })
}

fn telling(once: Vec<(usize, Word)>) -> impl Strategy<Value = Telling> {
    let times = prop::collection::vec(1usize..4, once.len());
    let told = times.prop_flat_map(move |times| {
        let told: Vec<_> = once
            .iter()
            .zip(times)
            .flat_map(|(word, times)| std::iter::repeat_n(*word, times))
            .collect();
        Just(told).prop_shuffle()
    });
    (told, 1usize..6, 1usize..4).prop_map(|(told, batch_size, workers)| Telling {
        told,
        batch_size,
        workers,
    })
}

/// The books of one sale, from the set of what was said.
fn model(sale: usize, words: &[Word]) -> Vec<String> {
    use Word::*;
    let said = |word: Word| words.contains(&word);
    let (receipt, checkout) = (format!("UIS{sale}"), format!("ws_CO_{sale}"));
    let mut lines = Vec::new();
    let flag = if said(C2bElsewhere) {
        " flagged (the short code is not registered for this merchant)"
    } else {
        ""
    };
    let credited = match (said(RefundOfAll), said(RefundOf30), said(RefundOf70)) {
        (true, _, _) => 100,
        (false, part, other) => 30 * i64::from(part) + 70 * i64::from(other),
    };
    let paid = said(StkPaid) || said(C2b);
    if paid || said(C2bElsewhere) {
        let state = if !paid {
            "pending"
        } else if credited == 100 {
            "reversed"
        } else {
            "success"
        };
        let checkout = if said(StkPaid) { &checkout } else { "-" };
        lines.push(format!("{state} {receipt} {checkout} 100.00 KES{flag}"));
    }
    if !said(StkPaid) && (said(TimedOut) || said(Cancelled)) {
        // The least of the reasons.
        let reason = if said(Cancelled) {
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

fn event(merchant: &Merchant, short_code: &str, sale: usize, word: Word) -> IncomingEvent {
    let (receipt, checkout) = (format!("UIS{sale}"), format!("ws_CO_{sale}"));
    let refund =
        |name: &str, amount| merchant.reversal(&format!("{name}{sale}"), &receipt, amount, Done);
    match word {
        Word::TimedOut => merchant.stk(&checkout, 1037, None, ""),
        Word::Cancelled => merchant.stk(&checkout, 1032, None, ""),
        Word::StkPaid => merchant.stk(&checkout, 0, Some(&receipt), "100"),
        Word::C2b => merchant.c2b(&receipt, "100.0", short_code),
        Word::C2bElsewhere => merchant.c2b(&receipt, "100.0", "99999"),
        Word::RefundAnnounced => {
            merchant.reversal(&format!("a{sale}"), &receipt, Some("30"), Pending)
        }
        Word::RefundOf30 => refund("a", Some("30")),
        Word::RefundOf70 => refund("b", Some("70")),
        Word::RefundOfAll => refund("c", None),
    }
}

/// Tells a merchant of its own all of it, and reads the books.
async fn books(kit: &Kit, telling: &Telling) -> Vec<String> {
    let (merchant, _) = kit.ordinary_merchant().await;
    let short_code = kit.code_of(&merchant).await;
    let mut first: Vec<((usize, Word), IncomingEvent)> = Vec::new();
    let mut lots: Vec<Vec<IncomingEvent>> = vec![Vec::new(); telling.workers];
    for (nth, word) in telling.told.iter().enumerate() {
        let known = first
            .iter()
            .find(|(known, _)| known == word)
            .map(|(_, event)| again(event));
        let event = known.unwrap_or_else(|| event(&merchant, &short_code, word.0, word.1));
        first.push((*word, event.clone()));
        lots[nth % telling.workers].push(event);
    }
    let workers = lots.iter().map(|lot| async {
        for batch in lot.chunks(telling.batch_size) {
            kit.ledger.record_batch(batch).await.unwrap();
        }
    });
    futures_util::future::join_all(workers).await;

    let mut lines = kit.payments(&merchant).await;
    let filed = "SELECT concat('filed ', max(amount) FILTER (WHERE kind = 'sale')::bigint, ', credited ',
                        coalesce(sum(amount) FILTER (WHERE kind = 'credit_note'), 0)::bigint)
                 FROM invoices WHERE merchant_id = $1 GROUP BY payment_id HAVING count(*) FILTER (WHERE kind = 'sale') = 1";
    lines.extend(kit.lines(filed, &merchant).await);
    let deliveries =
        "SELECT count(*) + coalesce(sum(duplicates), 0)::bigint FROM events WHERE merchant_id = $1";
    assert_eq!(
        kit.number(deliveries, &merchant).await,
        i64::try_from(telling.told.len()).unwrap()
    );
    lines.sort();
    lines
}

#[test]
fn the_books_do_not_depend_on_order_repetition_batches_or_workers() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let kit = runtime.block_on(Kit::new());
    let config = Config {
        cases: 64,
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        // Each step of shrinking is a merchant's whole life.
        max_shrink_iters: 256,
        ..Config::default()
    };
    let law = |(sales, one, other): (Vec<Vec<Word>>, Telling, Telling)| {
        let mut expected: Vec<String> = sales
            .iter()
            .enumerate()
            .flat_map(|(sale, words)| model(sale, words))
            .collect();
        expected.sort();
        for telling in [&one, &other] {
            let found = runtime.block_on(books(&kit, telling));
            if found != expected {
                return Err(TestCaseError::fail(format!(
                    "books {found:#?}\nmodel {expected:#?}"
                )));
            }
        }
        Ok(())
    };
    let outcome = TestRunner::new(config).run(&tellings(), law);
    runtime.block_on(async { drop(kit) });
    outcome.unwrap();
}
