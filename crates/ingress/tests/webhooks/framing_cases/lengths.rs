//! Requests by their `content-length`.

use super::{ACCEPTED, FramingCases, MALFORMED, REFUSED, content_length};

pub(super) fn add(cases: &mut FramingCases) {
    cases.add_with_lines("the right length", content_length, ACCEPTED);
    cases.add_with_lines(
        "a length with leading zeros",
        |body| format!("content-length: 000{}\r\n", body.len()),
        &[&[200], &[400]],
    );
    cases.add_with_lines(
        "no length",
        |_| String::new(),
        &[&[422, 400], &[422], &[400]],
    );
    cases.add_with_lines(
        "two different lengths",
        |body| format!("{}content-length: 1\r\n", content_length(body)),
        REFUSED,
    );
    cases.add_with_lines(
        "the length twice in one line",
        |body| format!("content-length: {0}, {0}\r\n", body.len()),
        REFUSED,
    );
    for value in [
        "+1",
        "-1",
        "0x10",
        "1 1",
        "1e1",
        "",
        "99999999999999999999999999",
        "１",
        "\x0b5",
    ] {
        cases.add_with_lines(
            "a length that is not a number",
            |_| format!("content-length: {value}\r\n"),
            REFUSED,
        );
    }
    cases.add_with_lines(
        "a space before the colon of the length",
        |body| format!("content-length : {}\r\n", body.len()),
        REFUSED,
    );
    cases.add_with_lines(
        "a length that is one byte too large",
        |body| format!("content-length: {}\r\n", body.len() + 1),
        MALFORMED,
    );
    cases.add_with_lines(
        "a length above the body limit",
        |_| "content-length: 262145\r\n".to_owned(),
        &[&[413]],
    );
    cases.add_with_lines(
        "the largest length of 64 bits",
        |_| "content-length: 18446744073709551615\r\n".to_owned(),
        &[&[413], &[400]],
    );
}
