//! What follows from an answer to a look-up.

use uuid::Uuid;

use super::*;

#[test]
fn d9_absent_while_taken_waits_for_15_minutes() {
    for (minutes, waits) in [(0, true), (14, true), (15, false), (60, false)] {
        let hidden = invoice(History {
            hidden_since: ago(minutes),
            unknown_since: ago(minutes),
            ..History::default()
        });
        let decision = after_look_up(&with_proof(), &hidden, &LookUpOutcome::Absent(answer()));
        let waited = decision
            == AfterLookUp::Wait {
                nothing_learnt: false,
                at_least: None,
            };
        assert_eq!(waited, waits, "{minutes} minutes: {decision:?}");
        assert!(
            waits || matches!(decision, AfterLookUp::Halt(_)),
            "{decision:?}"
        );
    }
}

/// A host that answered nobody for five minutes.
fn at_silent_host() -> Situation {
    Situation {
        proof: HostProof {
            took_another: false,
            answers: false,
        },
        ..situation()
    }
}

/// A look-up that met a closed door.
fn lost() -> Answer {
    Answer {
        message: "no answer within 60 s".to_owned(),
        against_host: true,
        ..Answer::default()
    }
}

#[test]
fn d9_unknown_for_an_hour_halts_if_the_host_speaks() {
    let breaker_open = Situation {
        breaker_closed: false,
        ..at_silent_host()
    };
    for (situation, answer, minutes, halts) in [
        (situation(), lost(), 59, false),
        (situation(), lost(), 60, true),
        (at_silent_host(), lost(), 600, false),
        (at_silent_host(), answer(), 60, true),
        (breaker_open, answer(), 600, false),
    ] {
        let unknown = invoice(History {
            unknown_since: ago(minutes),
            ..History::default()
        });
        let outcome = LookUpOutcome::NoAnswer(answer);
        let decision = after_look_up(&situation, &unknown, &outcome);
        assert_eq!(
            matches!(decision, AfterLookUp::Halt(_)),
            halts,
            "{minutes} minutes: {decision:?}"
        );
    }
}

/// The number is another invoice's that was never answered. Nothing counts but the look-ups.
#[test]
fn d9_a_number_about_to_be_taken_halts_after_an_hour_too() {
    for (minutes, halts) in [(None, false), (Some(59), false), (Some(60), true)] {
        let next = LaneInvoice {
            holds_number: false,
            ..invoice(History {
                others_unknown: true,
                unanswered_since: minutes.and_then(ago),
                ..History::default()
            })
        };
        let decision = after_look_up(&situation(), &next, &LookUpOutcome::NoAnswer(lost()));
        assert_eq!(
            matches!(decision, AfterLookUp::Halt(_)),
            halts,
            "{minutes:?} minutes: {decision:?}"
        );
    }
}

#[test]
fn d12_strikes_need_proof_and_rounds_defer() {
    let absent = LookUpOutcome::Absent(answer());
    let after = |situation: &Situation, strikes, rounds, strike_mark| {
        let history = History {
            strikes,
            rounds,
            strike_mark,
            unknown_since: ago(1),
            ..History::default()
        };
        after_look_up(situation, &invoice(history), &absent)
    };
    let failures = |strikes, rounds, mark| FailureCount {
        strikes,
        rounds,
        mark,
    };
    let mark = ago(5).unwrap();
    // The first failure is no strike: nothing was proven since.
    assert_eq!(
        after(&with_proof(), 0, 0, None),
        AfterLookUp::Resend(failures(0, 1, now()))
    );
    assert_eq!(
        after(&with_proof(), 0, 1, Some(mark)),
        AfterLookUp::Resend(failures(1, 0, now()))
    );
    assert_eq!(
        after(&situation(), 1, 0, Some(mark)),
        AfterLookUp::Resend(failures(1, 1, mark))
    );
    assert_eq!(
        after(&situation(), 1, 2, Some(mark)),
        AfterLookUp::Defer(failures(1, 3, mark))
    );
    let exhausted = GivenUp {
        cause: DeadCause::Exhausted,
        strikes: 5,
    };
    assert_eq!(
        after(&with_proof(), 4, 2, Some(mark)),
        AfterLookUp::DeadLetter(exhausted)
    );
}

#[test]
fn d13_nothing_is_a_strike_unless_the_breaker_is_closed() {
    let during_trial = Situation {
        breaker_closed: false,
        ..with_proof()
    };
    let failing = invoice(History {
        strikes: 4,
        strike_mark: ago(5),
        unknown_since: ago(1),
        ..History::default()
    });
    let decision = after_look_up(&during_trial, &failing, &LookUpOutcome::Absent(answer()));
    assert_eq!(
        decision,
        AfterLookUp::Resend(FailureCount {
            strikes: 4,
            rounds: 1,
            mark: ago(5).unwrap()
        })
    );
}

#[test]
fn d8_a_found_sale_goes_to_the_invoice_it_names() {
    let sale = |remark: Option<String>, total: i64, invoice_no| {
        LookUpOutcome::Found(FoundSale {
            invoice_no,
            remark,
            kind: None,
            original_invoice_no: None,
            total: Some(total.into()),
            trader_number: None,
            receipt: receipt(),
        })
    };
    let decide = |outcome| after_look_up(&situation(), &fresh_invoice(), &outcome);
    let ours = fresh_invoice().id;
    let other = InvoiceId::from_uuid(Uuid::from_u128(9));
    assert_eq!(
        decide(sale(Some(format!(" {ours} ")), 116, 8)),
        AfterLookUp::Accept(receipt())
    );
    assert_eq!(
        decide(sale(Some(other.to_string()), 116, 8)),
        AfterLookUp::GiveTo(other, receipt())
    );
    for (remark, total) in [
        (Some(ours.to_string()), 117),
        (Some("till 7".to_owned()), 116),
        (None, 116),
    ] {
        let decision = decide(sale(remark.clone(), total, 8));
        assert!(
            matches!(&decision, AfterLookUp::Halt(halt) if halt.reason.contains("lanes resolve")),
            "{remark:?}"
        );
    }
    let wait = AfterLookUp::Wait {
        nothing_learnt: true,
        at_least: None,
    };
    assert_eq!(
        decide(sale(Some(ours.to_string()), 116, 9)),
        wait,
        "an answer about another number"
    );
}

/// KRA said before how far it has counted.
#[test]
fn d9_a_foreign_sale_offers_to_pass_all_numbers_before_kras() {
    let found = LookUpOutcome::Found(FoundSale {
        invoice_no: 8,
        remark: None,
        kind: None,
        original_invoice_no: None,
        total: None,
        trader_number: None,
        receipt: receipt(),
    });
    for (said, through) in [
        (
            "Invc No: 8 is invalid, use the expected value: 412",
            Some("--through 411 "),
        ),
        ("Invc No: 8 is invalid, use the expected value: 9", None),
        ("no", None),
    ] {
        let invoice = invoice(History {
            last_error: Some(said.to_owned()),
            ..History::default()
        });
        let AfterLookUp::Halt(halt) = after_look_up(&situation(), &invoice, &found) else {
            panic!("{said}: no halt");
        };
        let offers = halt.reason.contains(through.unwrap_or("--through"));
        assert_eq!(offers, through.is_some(), "{said}: {}", halt.reason);
    }
}

#[test]
fn a_refused_invoice_absent_at_kra_is_a_dead_letter() {
    let refused = invoice(History {
        refused: true,
        unknown_since: ago(1),
        ..History::default()
    });
    let decision = after_look_up(&with_proof(), &refused, &LookUpOutcome::Absent(answer()));
    assert_eq!(
        decision,
        AfterLookUp::DeadLetter(GivenUp {
            cause: DeadCause::Refused,
            strikes: 0
        })
    );
}

#[test]
fn a_look_up_waits_as_long_as_the_host_asks() {
    let later = Some(Duration::from_secs(120));
    let asked = Answer {
        retry_after: later,
        ..answer()
    };
    let decision = after_look_up(
        &situation(),
        &fresh_invoice(),
        &LookUpOutcome::NoAnswer(asked),
    );
    assert_eq!(
        decision,
        AfterLookUp::Wait {
            nothing_learnt: true,
            at_least: later
        }
    );
}
