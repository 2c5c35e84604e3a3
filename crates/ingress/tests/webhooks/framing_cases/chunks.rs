//! Requests by their chunks.

use super::{ACCEPTED, FramingCases, MALFORMED, in_one_chunk};

pub(super) fn add(cases: &mut FramingCases) {
    cases.add_chunked("one chunk", in_one_chunk, ACCEPTED);
    cases.add_chunked("a chunk for each character", in_many_chunks, ACCEPTED);
    cases.add_chunked(
        "chunk extensions",
        |body| format!("{:X};a=b\r\n{body}\r\n0;c\r\n\r\n", body.len()),
        &[&[200], &[400], &[408], &[]],
    );
    cases.add_chunked(
        "a trailer",
        |body| format!("{:x}\r\n{body}\r\n0\r\nx: y\r\n\r\n", body.len()),
        &[&[200]],
    );
    for (name, size) in [
        ("a chunk size that is not a number", "zz"),
        ("a negative chunk size", "-1"),
        ("a chunk size with a plus sign", "+5"),
        ("a chunk size with the prefix 0x", "0x5"),
        ("a chunk size above 64 bits", "fffffffffffffffff"),
        ("a chunk size of spaces", " "),
        ("no chunk size", ""),
    ] {
        cases.add_chunked(
            name,
            |body| format!("{size}\r\n{body}\r\n0\r\n\r\n"),
            MALFORMED,
        );
    }
    cases.add_chunked(
        "a chunk longer than its size",
        |body| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len() - 1),
        MALFORMED,
    );
    cases.add_chunked(
        "a chunk shorter than its size",
        |body| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len() + 9),
        MALFORMED,
    );
    cases.add_chunked(
        "no last chunk",
        |body| format!("{:x}\r\n{body}\r\n", body.len()),
        MALFORMED,
    );
    cases.add_chunked(
        "a last chunk without its empty line",
        |body| format!("{:x}\r\n{body}\r\n0\r\n", body.len()),
        MALFORMED,
    );
    cases.add_chunked("chunks above the body limit", too_many_chunks, &[&[413]]);
}

fn in_many_chunks(body: &str) -> String {
    let chunks: String = body
        .chars()
        .map(|character| format!("1\r\n{character}\r\n"))
        .collect();
    chunks + "0\r\n\r\n"
}

/// Nine chunks of 32 KiB, which is more than the limit of 256 KiB.
fn too_many_chunks(_: &str) -> String {
    let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
    chunk.repeat(9)
}
