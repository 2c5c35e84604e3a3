//! Requests that can be read in two ways. A proxy before ingress may see another end of them.

use super::{CHUNKED, FramingCases, REFUSED, content_length, in_one_chunk};

pub(super) fn add(cases: &mut FramingCases) {
    cases.add(
        "a length, then chunks",
        |body| format!("{}{CHUNKED}", content_length(body)),
        in_one_chunk,
        REFUSED,
    );
    cases.add(
        "chunks, then a length",
        |body| format!("{CHUNKED}{}", content_length(body)),
        in_one_chunk,
        REFUSED,
    );
    for coding in [
        "chunked, identity",
        "identity, chunked",
        "xchunked",
        "chunked\r\ntransfer-encoding: identity",
        "identity",
        "gzip, chunked",
        "\x0bchunked",
        "chunked;q=1",
        "\"chunked\"",
        "",
    ] {
        cases.add(
            "a transfer encoding other than chunked",
            |_| format!("transfer-encoding: {coding}\r\n"),
            in_one_chunk,
            &[&[400], &[], &[422, 400], &[422]],
        );
    }
    cases.add(
        "a space before the colon of the transfer encoding",
        |_| "transfer-encoding : chunked\r\n".to_owned(),
        in_one_chunk,
        REFUSED,
    );
    cases.add(
        "a transfer encoding on a continuation line",
        |_| "transfer-encoding:\r\n chunked\r\n".to_owned(),
        in_one_chunk,
        REFUSED,
    );
    cases.add_with_lines(
        "a length after a bare carriage return",
        |body| format!("x: y\rcontent-length: {}\r\n", body.len()),
        &[&[400], &[], &[422, 400]],
    );
}
