//! Requests by their request line: method, target and version.

use super::{ACCEPTED, Allowed, CONNECTION_CLOSE, FramingCases, REFUSED};

/// `PATH` stands for the path of a webhook, and `METHOD` for a method of 70,000 letters.
const REQUEST_LINES: &[(&str, &str, Allowed)] = &[
    ("HTTP/0.9", "POST PATH", REFUSED),
    ("HTTP/3.0", "POST PATH HTTP/3.0", &[&[400], &[505], &[]]),
    ("no version", "POST PATH HTTP", REFUSED),
    ("tabs for spaces", "POST\tPATH\tHTTP/1.1", REFUSED),
    ("a NUL in the path", "POST PATH\0 HTTP/1.1", REFUSED),
    ("no method", " PATH HTTP/1.1", REFUSED),
    ("an unknown method", "PoST PATH HTTP/1.1", &[&[405], &[400]]),
    (
        "a method of 70,000 letters",
        "METHOD PATH HTTP/1.1",
        &[&[400], &[405], &[431], &[]],
    ),
    (
        "an authority for a path",
        "POST x:80 HTTP/1.1",
        &[&[404], &[400]],
    ),
    (
        "an asterisk for a path",
        "POST * HTTP/1.1",
        &[&[404], &[400]],
    ),
    (
        "two dots in the path",
        "POST /webhooks/../PATH HTTP/1.1",
        &[&[404]],
    ),
    (
        "an escaped NUL",
        "POST /webhooks/daraja/%00/stk HTTP/1.1",
        &[&[404], &[503]],
    ),
    (
        "an invalid escape",
        "POST /webhooks/daraja/%zz%/stk HTTP/1.1",
        &[&[404], &[400], &[503]],
    ),
    (
        "escaped bytes that are not UTF-8",
        "POST /webhooks/daraja/%ff%fe/stk HTTP/1.1",
        &[&[404], &[400], &[503]],
    ),
];

pub(super) fn add(cases: &mut FramingCases) {
    for &(name, line, allowed) in REQUEST_LINES {
        let line = line
            .replace("METHOD", &"M".repeat(70_000))
            .replace("PATH", &cases.requests.path);
        let bytes = format!("{line}\r\nhost: x\r\ncontent-length: 0\r\n{CONNECTION_CLOSE}\r\n");
        cases.add_bytes(name, bytes, allowed);
    }
    cases.add_bytes(
        "a path of 200,000 letters",
        format!("POST /{} HTTP/1.1\r\nhost: x\r\n\r\n", "p".repeat(200_000)),
        &[&[404], &[400], &[414], &[431], &[]],
    );

    let body = cases.requests.new_body();
    let absolute = cases.requests.request(&body, CONNECTION_CLOSE).replacen(
        "POST /",
        "POST http://elsewhere/",
        1,
    );
    cases.add_requests("an absolute URL", absolute, [body], &[&[200], &[404]]);

    let body = cases.requests.new_body();
    let old = cases.requests.request(&body, "");
    let old = old.replacen("HTTP/1.1", "HTTP/1.0", 1);
    cases.add_requests("HTTP/1.0", old, [body], ACCEPTED);

    let body = cases.requests.new_body();
    let old = cases.requests.head("") + &body;
    let old = old.replacen("HTTP/1.1", "HTTP/1.0", 1);
    cases.add_requests("HTTP/1.0 without a length", old, [body], REFUSED);
}
