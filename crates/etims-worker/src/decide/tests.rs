use super::*;
use risiti_domain::{InvoiceKind, PaymentMethod};
use uuid::Uuid;

const NOW: &str = "2026-11-23T20:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn ago(minutes: i64) -> Option<Timestamp> {
    now().checked_sub(SignedDuration::from_mins(minutes)).ok()
}

fn facts() -> Facts {
    Facts {
        dialect: Dialect::Legacy,
        now: now(),
        strikes_max: 5,
        breaker_closed: true,
        proof: HostProof {
            took_another: false,
            answers: true,
        },
    }
}

fn proven() -> Facts {
    Facts {
        proof: HostProof {
            took_another: true,
            answers: true,
        },
        ..facts()
    }
}

fn vscu() -> Facts {
    Facts {
        dialect: Dialect::Vscu,
        ..facts()
    }
}

fn invoice(history: History) -> LaneInvoice {
    LaneInvoice {
        id: InvoiceId::from_uuid(Uuid::from_u128(1)),
        device: DeviceId::from_uuid(Uuid::from_u128(2)),
        kind: InvoiceKind::Sale,
        invoice_no: 8,
        holds_number: true,
        total: 116.into(),
        merchant_id: Uuid::from_u128(3),
        payment_id: Uuid::from_u128(4),
        event_id: None,
        trace_id: None,
        original_invoice_no: None,
        trader_invoice_no: "SKE1".to_owned(),
        phone: None,
        method: PaymentMethod::MobileMoney,
        occurred_at: now(),
        refunded_at: None,
        first_sent_at: Some(now()),
        body: None,
        history,
        lane_failures: 0,
    }
}

fn fresh() -> LaneInvoice {
    invoice(History::default())
}

fn answer() -> Answer {
    Answer {
        code: Some("910".to_owned()),
        message: "no".to_owned(),
        ..Answer::default()
    }
}

fn receipt() -> Receipt {
    Receipt {
        receipt_no: 8,
        total_receipt_no: None,
        signature: None,
        internal_data: None,
        control_unit_id: None,
        issued_at: None,
    }
}

fn halts(then: &Then, command: &str) -> bool {
    matches!(then, Then::Halt(reason) if reason.contains(command) && reason.contains(&fresh().device.to_string()))
}

#[test]
fn the_next_step_follows_from_the_stored_history_alone() {
    let unknown = History {
        unknown_since: ago(1),
        ..History::default()
    };
    let refused = History {
        refused: true,
        ..History::default()
    };
    let both = History {
        refused: true,
        unknown_since: ago(1),
        ..History::default()
    };
    let tainted = History {
        others_unknown: true,
        ..History::default()
    };
    let bury = || {
        Step::DeadLetter(Death {
            cause: DeadCause::Refused,
            strikes: 0,
        })
    };
    for (out, history, legacy, on_vscu) in [
        (false, History::default(), Step::Send, Step::Send),
        (true, History::default(), Step::Send, Step::Send),
        (true, unknown, Step::LookUp, Step::Send),
        (true, refused, bury(), bury()),
        (true, both, Step::LookUp, Step::Send),
        (false, tainted.clone(), Step::LookUp, Step::Send),
        (true, tainted, Step::Send, Step::Send),
    ] {
        assert_eq!(
            step(Dialect::Legacy, out, &history),
            legacy,
            "{out} {history:?}"
        );
        assert_eq!(
            step(Dialect::Gateway, out, &history),
            legacy,
            "{out} {history:?}"
        );
        assert_eq!(
            step(Dialect::Vscu, out, &history),
            on_vscu,
            "{out} {history:?}"
        );
    }
}

#[test]
fn d7_only_ok_refused_and_not_sent_settle_a_number() {
    assert_eq!(
        after_send(&facts(), &fresh(), &SendOutcome::Ok(receipt())),
        AfterSend::Accept(receipt())
    );
    for (outcome, settles) in [
        (SendOutcome::NotSent(answer()), true),
        (
            SendOutcome::Refused {
                answer: answer(),
                look_up_first: false,
            },
            true,
        ),
        (
            SendOutcome::Refused {
                answer: answer(),
                look_up_first: true,
            },
            false,
        ),
        (SendOutcome::Retry(answer()), false),
        (SendOutcome::Unknown(answer()), false),
        (SendOutcome::Taken(answer()), false),
        (
            SendOutcome::Expected {
                expected: 3,
                answer: answer(),
            },
            false,
        ),
        (
            SendOutcome::Halt {
                reason: HaltReason::Device,
                answer: answer(),
            },
            false,
        ),
    ] {
        let AfterSend::Record { settled, .. } = after_send(&facts(), &fresh(), &outcome) else {
            panic!("{outcome:?} accepted")
        };
        assert_eq!(settled, settles, "{outcome:?}");
    }
}

#[test]
fn d9_a_taken_number_is_looked_up_and_an_unexpected_one_halts() {
    let AfterSend::Record { taken, then, .. } =
        after_send(&facts(), &fresh(), &SendOutcome::Taken(answer()))
    else {
        panic!()
    };
    assert_eq!((taken, then), (true, Then::GoOn));
    let outcome = SendOutcome::Expected {
        expected: 12,
        answer: answer(),
    };
    let AfterSend::Record { then, .. } = after_send(&facts(), &fresh(), &outcome) else {
        panic!()
    };
    assert!(halts(&then, "lanes resolve"), "{then:?}");
}

#[test]
fn d9_absent_while_taken_waits_and_after_a_quarter_of_an_hour_halts() {
    for (minutes, waits) in [(0, true), (14, true), (15, false), (60, false)] {
        let hidden = invoice(History {
            hidden_since: ago(minutes),
            unknown_since: ago(minutes),
            ..History::default()
        });
        let decision = after_look_up(&proven(), &hidden, &LookUpOutcome::Absent(answer()));
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

#[test]
fn d9_unknown_for_an_hour_halts_if_the_host_answers_others() {
    let silent = Facts {
        proof: HostProof {
            took_another: false,
            answers: false,
        },
        ..facts()
    };
    for (facts, minutes, halt) in [
        (facts(), 59, false),
        (facts(), 60, true),
        (silent, 600, false),
    ] {
        let unknown = invoice(History {
            unknown_since: ago(minutes),
            ..History::default()
        });
        let decision = after_look_up(&facts, &unknown, &LookUpOutcome::NoAnswer(answer()));
        assert_eq!(
            matches!(decision, AfterLookUp::Halt(_)),
            halt,
            "{minutes} minutes: {decision:?}"
        );
    }
}

#[test]
fn d10_a_refusal_is_final_only_without_an_unknown_send_behind_it() {
    let refusal = SendOutcome::Refused {
        answer: answer(),
        look_up_first: false,
    };
    let AfterSend::Record {
        settled,
        refused,
        then,
        ..
    } = after_send(&facts(), &fresh(), &refusal)
    else {
        panic!()
    };
    assert_eq!((settled, refused, then), (true, true, Then::GoOn));

    let before = invoice(History {
        ever_unknown: true,
        ..History::default()
    });
    let AfterSend::Record {
        settled, refused, ..
    } = after_send(&facts(), &before, &refusal)
    else {
        panic!()
    };
    assert_eq!((settled, refused), (false, true));

    let looked_up = invoice(History {
        refused: true,
        unknown_since: ago(1),
        ..History::default()
    });
    let decision = after_look_up(&proven(), &looked_up, &LookUpOutcome::Absent(answer()));
    assert_eq!(
        decision,
        AfterLookUp::DeadLetter(Death {
            cause: DeadCause::Refused,
            strikes: 0
        })
    );
}

#[test]
fn d12_strikes_need_proof_and_rounds_step_aside() {
    let absent = LookUpOutcome::Absent(answer());
    let after = |facts: &Facts, strikes, rounds, strike_mark| {
        let history = History {
            strikes,
            rounds,
            strike_mark,
            unknown_since: ago(1),
            ..History::default()
        };
        after_look_up(facts, &invoice(history), &absent)
    };
    let tally = |strikes, rounds, mark| Tally {
        strikes,
        rounds,
        mark,
    };
    let mark = ago(5).unwrap();
    // The first failure is no strike: nothing was proven since.
    assert_eq!(
        after(&proven(), 0, 0, None),
        AfterLookUp::Resend(tally(0, 1, now()))
    );
    assert_eq!(
        after(&proven(), 0, 1, Some(mark)),
        AfterLookUp::Resend(tally(1, 0, now()))
    );
    assert_eq!(
        after(&facts(), 1, 0, Some(mark)),
        AfterLookUp::Resend(tally(1, 1, mark))
    );
    assert_eq!(
        after(&facts(), 1, 2, Some(mark)),
        AfterLookUp::Defer(tally(1, 3, mark))
    );
    let exhausted = Death {
        cause: DeadCause::Exhausted,
        strikes: 5,
    };
    assert_eq!(
        after(&proven(), 4, 2, Some(mark)),
        AfterLookUp::DeadLetter(exhausted)
    );
}

#[test]
fn d13_while_the_breaker_is_not_closed_nothing_is_a_strike() {
    let trying = Facts {
        breaker_closed: false,
        ..proven()
    };
    let sick = invoice(History {
        strikes: 4,
        strike_mark: ago(5),
        unknown_since: ago(1),
        ..History::default()
    });
    let decision = after_look_up(&trying, &sick, &LookUpOutcome::Absent(answer()));
    assert_eq!(
        decision,
        AfterLookUp::Resend(Tally {
            strikes: 4,
            rounds: 1,
            mark: ago(5).unwrap()
        })
    );
}

#[test]
fn an_answer_that_may_hide_a_wrong_device_halts_when_it_stays() {
    let retry = SendOutcome::Retry(Answer {
        halts_if_repeated: Some(HaltReason::Device),
        ..answer()
    });
    for (rounds, strikes, halt) in [(0, 0, false), (1, 0, false), (2, 0, true), (0, 2, true)] {
        let before = invoice(History {
            rounds,
            strikes,
            ..History::default()
        });
        let AfterSend::Record { then, .. } = after_send(&facts(), &before, &retry) else {
            panic!()
        };
        assert_eq!(
            halts(&then, "device update"),
            halt,
            "{rounds} rounds, {strikes} strikes: {then:?}"
        );
    }
}

#[test]
fn d16_what_a_vscu_cannot_tell_a_person_has_to() {
    let again = invoice(History {
        ever_unknown: true,
        unknown_since: ago(1),
        ..History::default()
    });
    for (invoice, outcome) in [
        (fresh(), SendOutcome::Taken(answer())),
        (again.clone(), SendOutcome::Taken(answer())),
        (
            again.clone(),
            SendOutcome::Refused {
                answer: answer(),
                look_up_first: false,
            },
        ),
        (
            fresh(),
            SendOutcome::Refused {
                answer: answer(),
                look_up_first: true,
            },
        ),
        (
            invoice(History {
                unknown_since: ago(60),
                ..History::default()
            }),
            SendOutcome::Unknown(answer()),
        ),
    ] {
        let AfterSend::Record { then, settled, .. } = after_send(&vscu(), &invoice, &outcome)
        else {
            panic!()
        };
        assert!(
            halts(&then, "lanes resolve") && !settled,
            "{outcome:?}: {then:?}"
        );
    }
    let AfterSend::Record { then, .. } =
        after_send(&vscu(), &again, &SendOutcome::Unknown(answer()))
    else {
        panic!()
    };
    assert_eq!(then, Then::Wait(None));
}

#[test]
fn d8_a_found_sale_goes_to_whom_it_names() {
    let sale = |remark: Option<String>, total: i64, invoice_no| {
        LookUpOutcome::Found(FoundSale {
            invoice_no,
            remark,
            kind: None,
            original_invoice_no: None,
            total: Some(total.into()),
            receipt: receipt(),
        })
    };
    let decide = |outcome| after_look_up(&facts(), &fresh(), &outcome);
    let (ours, other) = (fresh().id, InvoiceId::from_uuid(Uuid::from_u128(9)));
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
            matches!(&decision, AfterLookUp::Halt(reason) if reason.contains("lanes resolve")),
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

#[test]
fn a_host_that_asks_to_be_left_alone_is() {
    let later = Some(Duration::from_secs(120));
    let asked = Answer {
        retry_after: later,
        ..answer()
    };
    for outcome in [
        SendOutcome::NotSent(asked.clone()),
        SendOutcome::Retry(asked.clone()),
    ] {
        let AfterSend::Record { then, .. } = after_send(&facts(), &fresh(), &outcome) else {
            panic!()
        };
        assert_eq!(then, Then::Wait(later));
    }
    let decision = after_look_up(&facts(), &fresh(), &LookUpOutcome::NoAnswer(asked));
    assert_eq!(
        decision,
        AfterLookUp::Wait {
            nothing_learnt: true,
            at_least: later
        }
    );
}
