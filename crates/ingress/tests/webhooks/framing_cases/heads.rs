//! Requests by their header lines, and bytes that are not a request.

use super::{ACCEPTED, FramingCases, REFUSED, TOO_LARGE, content_length};

pub(super) fn add(cases: &mut FramingCases) {
    add_long_heads(cases);
    add_odd_lines(cases);
    add_other_protocols(cases);
}

fn add_long_heads(cases: &mut FramingCases) {
    let long_value = format!("x: {}\r\n", "y".repeat(200_000));
    let long_name = format!("{}: y\r\n", "x".repeat(200_000));
    let many_lines = "x: y\r\n".repeat(1_000);
    for (name, lines) in [
        ("a header value of 200,000 letters", long_value),
        ("a header name of 200,000 letters", long_name),
        ("a thousand header lines", many_lines),
    ] {
        cases.add_with_lines(
            name,
            |body| format!("{lines}{}", content_length(body)),
            TOO_LARGE,
        );
    }
}

fn add_odd_lines(cases: &mut FramingCases) {
    for value in ["\0", "\u{7f}", "a\rb"] {
        cases.add_with_lines(
            "a control character in a header value",
            |body| format!("x: {value}\r\n{}", content_length(body)),
            REFUSED,
        );
    }
    cases.add_with_lines(
        "two content types",
        |body| format!("content-type: text/plain\r\n{}", content_length(body)),
        &[&[200], &[415]],
    );
    for expectation in ["100-continue", "nonsense"] {
        cases.add_with_lines(
            "an expectation",
            |body| format!("expect: {expectation}\r\n{}", content_length(body)),
            &[&[100, 200], &[200], &[417]],
        );
    }
    cases.add_with_lines(
        "an upgrade to HTTP/2",
        |body| {
            format!(
                "upgrade: h2c\r\nhttp2-settings: AAAA\r\n{}",
                content_length(body)
            )
        },
        &[&[200], &[400]],
    );

    let body = cases.requests.new_body();
    let bare = format!(
        "POST {} HTTP/1.1\nhost: x\ncontent-type: application/json\ncontent-length: {}\nconnection: close\n\n{body}",
        cases.requests.path,
        body.len()
    );
    cases.add_requests("bare line feeds", bare, [body], ACCEPTED);
}

fn add_other_protocols(cases: &mut FramingCases) {
    cases.add_bytes("no bytes", *b"", &[&[]]);
    cases.add_bytes("garbage", [0xff; 2_000], REFUSED);
    cases.add_bytes("NULs", [0; 2_000], REFUSED);
    cases.add_bytes("empty lines", "\r\n".repeat(5_000), REFUSED);
    cases.add_bytes(
        "a TLS handshake",
        *b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello hello hello\r\n\r\n",
        REFUSED,
    );
    cases.add_bytes(
        "HTTP/2 by prior knowledge",
        *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        &[&[400], &[505], &[]],
    );
}
