//! Several requests on one connection.

use super::{CONNECTION_CLOSE, FramingCases};

pub(super) fn add(cases: &mut FramingCases) {
    let requests = &mut cases.requests;
    let three = [
        requests.new_body(),
        requests.new_body(),
        requests.new_body(),
    ];
    let bytes = requests.request(&three[0], "")
        + &requests.request(&three[1], "")
        + &requests.request(&three[2], CONNECTION_CLOSE);
    cases.add_requests("three requests", bytes, three, &[&[200, 200, 200]]);

    let requests = &mut cases.requests;
    let body = requests.new_body();
    let bytes = requests.request(&body, "") + "GARBAGE\r\n\r\n";
    cases.add_requests(
        "a request, then garbage",
        bytes,
        [body],
        &[&[200, 400], &[200]],
    );

    let requests = &mut cases.requests;
    let two = [requests.new_body(), requests.new_body()];
    let bytes = requests.request(&two[0], "") + &requests.request(&two[1], "")[..200];
    cases.add_requests(
        "a request, then a part of one",
        bytes,
        two,
        &[&[200], &[200, 408], &[200, 400]],
    );

    let requests = &mut cases.requests;
    let two = [requests.new_body(), requests.new_body()];
    let bytes = requests.request(&two[0], CONNECTION_CLOSE) + &requests.request(&two[1], "");
    cases.add_requests("a request after the last", bytes, two, &[&[200]]);
}
