use super::*;
use crate::audit::views::Move;
use serde_json::json;

fn filed(number: i64, kind: &str, remark: &str) -> Filed {
    serde_json::from_value(json!({
        "tin": "P051000001X", "bhfId": "00", "invcNo": number, "orgInvcNo": null, "rcptTyCd": kind,
        "remark": remark, "trdInvcNo": "UIS1", "totAmt": "10", "curRcptNo": number.to_string(),
        "rcptSign": "SIGN", "intrlData": "DATA",
    }))
    .unwrap()
}

fn wrongs(filed: &[Filed], stats: Stats, histories: &[History]) -> Vec<String> {
    let mut breaches = Breaches::default();
    check(filed, &stats, histories, &mut breaches);
    breaches.0.into_iter().map(|breach| breach.what).collect()
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An invoice and the seconds at which it came into a state.
fn history(id: &str, moves: &[(i64, &str)]) -> History {
    let moves = moves.iter().map(|(at, to)| Move {
        at: second(*at),
        from: None,
        to: (*to).to_owned(),
    });
    History {
        id: id.to_owned(),
        state: String::new(),
        moves: moves.collect(),
    }
}

/// Invoice `late` was refused at second 20 under a number that `other` was filed under at second 10.
fn clash() -> Stats {
    let mistake = json!({
        "at": second(20), "device": "P/00", "message": "Invc No: 32 is invalid",
        "clash": {"invoice_no": 32, "refused": "late", "filed": "other", "filed_at": second(10)},
    });
    let protocol_error_log = vec![serde_json::from_value(mistake).unwrap()];
    Stats {
        protocol_errors: 1,
        protocol_error_log,
        ..Stats::default()
    }
}

#[test]
fn gaps_are_seen() {
    let order = [filed(2, "R", "b"), filed(1, "S", "a")];
    assert!(wrongs(&order, Stats::default(), &[]).is_empty());
    let gap = [filed(1, "S", "a"), filed(3, "S", "b")];
    assert_eq!(
        wrongs(&gap, Stats::default(), &[]),
        ["has 3 where 2 was next"]
    );
}

#[test]
fn bad_manners_are_seen() {
    let mistake = json!({"at": second(1), "device": "P/00", "message": "Invalid itemCd"});
    let errors = Stats {
        protocol_errors: 3,
        protocol_error_log: vec![serde_json::from_value(mistake).unwrap()],
        ..Stats::default()
    };
    assert_eq!(
        wrongs(&[], errors, &[]),
        ["Invalid itemCd", "2 more protocol errors"]
    );
    assert_eq!(
        wrongs(
            &[],
            Stats {
                in_flight_max: 51,
                ..Stats::default()
            },
            &[]
        ),
        ["51 calls at once"]
    );
}

#[test]
fn a_request_that_comes_after_its_invoice_let_go_of_the_number_is_nobodys_mistake() {
    let other = history("other", &[(8, "submitting"), (11, "success")]);
    let let_go = history("late", &[(1, "submitting"), (5, "dead")]);
    assert!(wrongs(&[], clash(), &[let_go, other]).is_empty());
    // The late one is the one that was filed.
    let filed = history("other", &[(1, "submitting"), (5, "dead"), (30, "success")]);
    let refused = history("late", &[(6, "submitting"), (31, "pending")]);
    assert!(wrongs(&[], clash(), &[filed, refused]).is_empty());
}

#[test]
fn a_number_given_to_two_invoices_is_a_mistake() {
    let other = history("other", &[(8, "submitting"), (11, "success")]);
    let again = history("late", &[(15, "submitting"), (25, "pending")]);
    assert_eq!(wrongs(&[], clash(), &[other, again]).len(), 1);
    let let_go = history("late", &[(1, "submitting"), (5, "dead")]);
    assert_eq!(
        wrongs(&[], clash(), &[let_go]).len(),
        1,
        "the other is none of ours"
    );
}
