use serde_json::json;

use super::*;
use crate::audit::views::Transition;

fn filed(number: i64, kind: &str, remark: &str) -> Filed {
    serde_json::from_value(json!({
        "tin": "P051000001X", "bhfId": "00", "invcNo": number, "orgInvcNo": null, "rcptTyCd": kind,
        "remark": remark, "trdInvcNo": "UIS1", "totAmt": "10", "curRcptNo": number.to_string(),
        "rcptSign": "SIGN", "intrlData": "DATA",
    }))
    .unwrap()
}

fn wrongs(filed: &[Filed], stats: Stats, histories: &[StateHistory]) -> Vec<String> {
    let mut breaches = Breaches::default();
    check(filed, &stats, histories, &mut breaches);
    breaches.0.into_iter().map(|breach| breach.what).collect()
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The history of an invoice that came into each state at a second.
fn history(id: &str, transitions: &[(i64, &str)]) -> StateHistory {
    let transitions = transitions.iter().map(|(at, to)| Transition {
        at: second(*at),
        from: None,
        to: (*to).to_owned(),
    });
    StateHistory {
        id: id.to_owned(),
        state: String::new(),
        transitions: transitions.collect(),
    }
}

/// Invoice `late` was refused at second 20, under the number of `other`, filed at second 10.
fn clash() -> Stats {
    let error = json!({
        "at": second(20), "device": "P/00", "message": "Invc No: 32 is invalid",
        "clash": {"invoice_no": 32, "refused": "late", "filed": "other", "filed_at": second(10)},
    });
    let protocol_error_log = vec![serde_json::from_value(error).unwrap()];
    Stats {
        protocol_errors: 1,
        protocol_error_log,
        ..Stats::default()
    }
}

#[test]
fn gap_in_numbers_is_a_breach() {
    let order = [filed(2, "R", "b"), filed(1, "S", "a")];
    assert!(wrongs(&order, Stats::default(), &[]).is_empty());
    let gap = [filed(1, "S", "a"), filed(3, "S", "b")];
    assert_eq!(
        wrongs(&gap, Stats::default(), &[]),
        ["has 3 where 2 was next"]
    );
}

#[test]
fn protocol_errors_are_breaches() {
    let error = json!({"at": second(1), "device": "P/00", "message": "Invalid itemCd"});
    let errors = Stats {
        protocol_errors: 3,
        protocol_error_log: vec![serde_json::from_value(error).unwrap()],
        ..Stats::default()
    };
    assert_eq!(
        wrongs(&[], errors, &[]),
        ["Invalid itemCd", "2 more protocol errors"]
    );

    let too_many_calls = Stats {
        in_flight_max: 51,
        ..Stats::default()
    };
    assert_eq!(wrongs(&[], too_many_calls, &[]), ["51 calls at once"]);
}

#[test]
fn late_request_of_a_given_up_number_is_no_breach() {
    let other = history("other", &[(8, "submitting"), (11, "success")]);
    let given_up = history("late", &[(1, "submitting"), (5, "dead")]);
    assert!(wrongs(&[], clash(), &[given_up, other]).is_empty());

    // Here the late request was accepted, and the other one refused.
    let filed = history("other", &[(1, "submitting"), (5, "dead"), (30, "success")]);
    let refused = history("late", &[(6, "submitting"), (31, "pending")]);
    assert!(wrongs(&[], clash(), &[filed, refused]).is_empty());
}

#[test]
fn number_given_to_two_invoices_is_a_breach() {
    let other = history("other", &[(8, "submitting"), (11, "success")]);
    let again = history("late", &[(15, "submitting"), (25, "pending")]);
    assert_eq!(wrongs(&[], clash(), &[other, again]).len(), 1);

    let given_up = history("late", &[(1, "submitting"), (5, "dead")]);
    assert_eq!(
        wrongs(&[], clash(), &[given_up]).len(),
        1,
        "the other is none of ours"
    );
}
