//! What follows from an answer to a send.

use super::*;

/// Decides on an outcome that is not accepted.
fn recorded(
    situation: &Situation,
    invoice: &LaneInvoice,
    outcome: &SendOutcome,
) -> (SendResult, FollowUp) {
    match after_send(situation, invoice, outcome) {
        AfterSend::Record { result, follow_up } => (result, follow_up),
        AfterSend::Accept(_) => panic!("{outcome:?} was accepted"),
    }
}

#[test]
fn d7_only_a_clear_answer_settles_a_number() {
    assert_eq!(
        after_send(&situation(), &fresh_invoice(), &SendOutcome::Ok(receipt())),
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
            SendOutcome::OutOfStep {
                expected: Some(3),
                answer: answer(),
            },
            true,
        ),
        (
            SendOutcome::Halt {
                reason: HaltReason::Device,
                answer: answer(),
            },
            false,
        ),
    ] {
        let (result, _) = recorded(&situation(), &fresh_invoice(), &outcome);
        assert_eq!(result.settles_number(), settles, "{outcome:?}");
    }
}

#[test]
fn d7_a_request_that_never_left_settles_no_earlier_one() {
    let not_sent = SendOutcome::NotSent(answer());
    let unknown = invoice(History {
        unknown_since: ago(1),
        ..History::default()
    });
    let (result, _) = recorded(&situation(), &unknown, &not_sent);
    assert_eq!(result, SendResult::NotSentAfterUnknown);
    let (result, _) = recorded(&situation(), &fresh_invoice(), &not_sent);
    assert_eq!(result, SendResult::NotSent);
}

#[test]
fn d9_a_taken_number_is_looked_up_at_once() {
    let taken = recorded(
        &situation(),
        &fresh_invoice(),
        &SendOutcome::Taken(answer()),
    );
    assert_eq!(taken, (SendResult::Taken, FollowUp::Continue));
}

#[test]
fn d9_a_number_ahead_of_kras_is_given_back_and_halts() {
    for (expected, names) in [
        (Some(3), "--next-invoice-no 3`"),
        (None, "--next-invoice-no N`"),
    ] {
        let ahead = SendOutcome::OutOfStep {
            expected,
            answer: answer(),
        };
        let (result, follow_up) = recorded(&situation(), &fresh_invoice(), &ahead);
        assert_eq!(result, SendResult::OutOfStep);
        assert!(halts(&follow_up, names), "{follow_up:?}");
        assert!(
            matches!(follow_up, FollowUp::FreeNumberAndHalt(_)),
            "{follow_up:?}"
        );

        let after_unknown = invoice(History {
            ever_unknown: true,
            ..History::default()
        });
        let (result, follow_up) = recorded(&situation(), &after_unknown, &ahead);
        assert_eq!(result, SendResult::OutOfStepAfterUnknown);
        assert!(halts(&follow_up, "--not-accepted"), "{follow_up:?}");
        assert!(matches!(follow_up, FollowUp::Halt(_)), "{follow_up:?}");
    }
}

/// A whole host may refuse access for a while. A lane for which it stays has a wrong device.
#[test]
fn d13_a_status_halts_only_a_lane_that_meets_it_alone() {
    let by_status = SendOutcome::Halt {
        reason: HaltReason::Address,
        answer: Answer {
            http_status: Some(404),
            against_host: true,
            ..Answer::default()
        },
    };
    let by_code = SendOutcome::Halt {
        reason: HaltReason::Device,
        answer: answer(),
    };
    let breaker_open = Situation {
        breaker_closed: false,
        ..situation()
    };
    let others_fail = Situation {
        fails_for_others: true,
        ..situation()
    };
    for (situation, lane_failures, outcome, halt) in [
        (others_fail, 2, &by_status, false),
        (situation(), 0, &by_status, false),
        (situation(), 1, &by_status, false),
        (situation(), 2, &by_status, true),
        (breaker_open, 9, &by_status, false),
        (situation(), 0, &by_code, true),
    ] {
        let invoice = LaneInvoice {
            lane_failures,
            ..fresh_invoice()
        };
        let (result, follow_up) = recorded(&situation, &invoice, outcome);
        assert!(!result.settles_number());
        assert_eq!(
            halts(&follow_up, "device update"),
            halt,
            "{lane_failures} failures: {follow_up:?}"
        );
    }
}

#[test]
fn d10_a_refusal_is_final_unless_a_send_was_unknown() {
    let refusal = SendOutcome::Refused {
        answer: answer(),
        look_up_first: false,
    };
    assert_eq!(
        recorded(&situation(), &fresh_invoice(), &refusal),
        (SendResult::Refused, FollowUp::Continue)
    );

    let before = invoice(History {
        ever_unknown: true,
        ..History::default()
    });
    let (result, _) = recorded(&situation(), &before, &refusal);
    assert_eq!(result, SendResult::RefusedAfterUnknown);
    assert!(!result.settles_number());
}

#[test]
fn a_repeated_answer_that_may_mean_a_wrong_device_halts() {
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
        let (_, follow_up) = recorded(&situation(), &before, &retry);
        assert_eq!(
            halts(&follow_up, "device update"),
            halt,
            "{rounds} rounds, {strikes} strikes: {follow_up:?}"
        );
    }
}

#[test]
fn d16_a_number_taken_or_refused_after_unknown_halts_vscu() {
    let again = invoice(History {
        ever_unknown: true,
        unknown_since: ago(1),
        ..History::default()
    });
    let refusal = SendOutcome::Refused {
        answer: answer(),
        look_up_first: false,
    };
    for (invoice, outcome, says) in [
        (
            fresh_invoice(),
            SendOutcome::Taken(answer()),
            "probably accepted",
        ),
        (
            again.clone(),
            SendOutcome::Taken(answer()),
            "probably accepted",
        ),
        (again, refusal, "was never answered"),
    ] {
        let (result, follow_up) = recorded(&on_vscu(), &invoice, &outcome);
        assert!(!result.settles_number(), "{outcome:?}");
        for text in [says, "lanes resolve"] {
            assert!(halts(&follow_up, text), "{outcome:?}: {follow_up:?}");
        }
    }
}

#[test]
fn d16_a_taken_number_names_another_that_was_sent_under_it() {
    let after_another = invoice(History {
        others_unknown: true,
        ..History::default()
    });
    let taken = SendOutcome::Taken(answer());
    let (_, follow_up) = recorded(&on_vscu(), &after_another, &taken);
    assert!(halts(&follow_up, "or by another of ours"), "{follow_up:?}");
}

#[test]
fn d9_a_vscu_that_settles_nothing_for_an_hour_halts() {
    let vague = SendOutcome::Refused {
        answer: answer(),
        look_up_first: true,
    };
    let silent = SendOutcome::Unknown(Answer {
        against_host: true,
        ..Answer::default()
    });
    let host_trouble = SendOutcome::Unknown(Answer {
        against_host: true,
        ..answer()
    });
    let alone = Situation {
        proof: HostProof {
            took_another: false,
            answers: false,
        },
        ..on_vscu()
    };
    let breaker_open = Situation {
        breaker_closed: false,
        ..alone
    };
    for (situation, outcome, halts_at_last) in [
        (on_vscu(), silent.clone(), true),
        (alone, host_trouble.clone(), true),
        (alone, SendOutcome::Retry(answer()), true),
        (alone, vague, true),
        (alone, silent, false),
        (breaker_open, host_trouble, false),
    ] {
        for (minutes, over) in [(59, false), (60, true)] {
            let again = invoice(History {
                ever_unknown: true,
                unknown_since: ago(minutes),
                ..History::default()
            });
            let (result, follow_up) = recorded(&situation, &again, &outcome);
            assert_eq!(
                halts(&follow_up, "lanes set-aside"),
                over && halts_at_last,
                "{minutes} minutes, {outcome:?}: {follow_up:?}"
            );
            assert!(!result.settles_number(), "{outcome:?}");
        }
    }
}

#[test]
fn a_send_waits_as_long_as_the_host_asks() {
    let later = Some(Duration::from_secs(120));
    let asked = Answer {
        retry_after: later,
        ..answer()
    };
    for outcome in [
        SendOutcome::NotSent(asked.clone()),
        SendOutcome::Retry(asked.clone()),
    ] {
        let (_, follow_up) = recorded(&situation(), &fresh_invoice(), &outcome);
        assert_eq!(follow_up, FollowUp::Wait(later));
    }
}
