//! Heads by the book and not.

use crate::script::{BAD, Case, OK, Script, TOO_LARGE, length};

pub(crate) fn heads(script: &mut Script) {
    type Line = (&'static str, &'static str, &'static [&'static [u16]]);
    const LINES: &[Line] = &[
        ("HTTP/0.9", "POST PATH\r\n", BAD),
        ("HTTP/3.0", "POST PATH HTTP/3.0\r\n", &[&[400], &[505], &[]]),
        ("no version", "POST PATH HTTP\r\n", BAD),
        ("a tab for a blank", "POST\tPATH\tHTTP/1.1\r\n", BAD),
        ("a NUL in the path", "POST PATH\0 HTTP/1.1\r\n", BAD),
        ("no method", " PATH HTTP/1.1\r\n", BAD),
        (
            "another method",
            "PoST PATH HTTP/1.1\r\n",
            &[&[405], &[400]],
        ),
        (
            "an endless method",
            "METHOD PATH HTTP/1.1\r\n",
            &[&[400], &[405], &[431], &[]],
        ),
        (
            "an authority for a path",
            "POST x:80 HTTP/1.1\r\n",
            &[&[404], &[400]],
        ),
        ("a star", "POST * HTTP/1.1\r\n", &[&[404], &[400]]),
        ("dots", "POST /webhooks/../PATH HTTP/1.1\r\n", &[&[404]]),
        (
            "an escaped NUL",
            "POST /webhooks/daraja/%00/stk HTTP/1.1\r\n",
            &[&[404], &[503]],
        ),
        (
            "escapes that are none",
            "POST /webhooks/daraja/%zz%/stk HTTP/1.1\r\n",
            &[&[404], &[400], &[503]],
        ),
        (
            "bytes that are no text",
            "POST /webhooks/daraja/%ff%fe/stk HTTP/1.1\r\n",
            &[&[404], &[400], &[503]],
        ),
    ];
    for &(name, line, answers) in LINES {
        let line = line
            .replace("METHOD", &"M".repeat(70_000))
            .replace("PATH", &script.path.clone());
        script.raw(
            name,
            answers,
            format!("{line}host: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
        );
    }
    for (name, line) in [
        ("an endless line", format!("x: {}\r\n", "y".repeat(200_000))),
        ("an endless name", format!("{}: y\r\n", "x".repeat(200_000))),
    ] {
        script.one(
            name,
            move |body| line.clone() + &length(body),
            |body| body.to_owned(),
            0,
            TOO_LARGE,
        );
    }
    script.one(
        "a thousand lines",
        |body| "x: y\r\n".repeat(1_000) + &length(body),
        |body| body.to_owned(),
        0,
        TOO_LARGE,
    );
    script.raw(
        "an endless path",
        &[&[404], &[400], &[414], &[431], &[]],
        format!("POST /{} HTTP/1.1\r\nhost: x\r\n\r\n", "p".repeat(200_000)),
    );
    for value in ["\0", "\u{7f}", "a\rb"] {
        script.one(
            "a line that holds what none may",
            |body| format!("x: {value}\r\n{}", length(body)),
            |body| body.to_owned(),
            0,
            BAD,
        );
    }
    script.one(
        "two types",
        |body| format!("content-type: text/plain\r\n{}", length(body)),
        |body| body.to_owned(),
        1,
        &[&[200], &[415]],
    );
    script.raw("garbage", BAD, [0xff; 2_000]);
    script.raw("NULs", BAD, [0; 2_000]);
    script.raw(
        "a handshake of TLS",
        BAD,
        *b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03hello hello hello\r\n\r\n",
    );
    script.raw(
        "HTTP/2 by prior knowledge",
        &[&[400], &[505], &[]],
        *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    );
    script.raw("nothing", &[&[]], *b"");
    script.raw("empty lines", BAD, "\r\n".repeat(5_000));
    let (path, body) = (script.path.clone(), script.body());
    let bare = format!(
        "POST {path} HTTP/1.1\nhost: x\ncontent-type: application/json\ncontent-length: {}\nconnection: close\n\n{body}",
        body.len()
    );
    script.cases.push(Case {
        name: "bare ends of lines",
        says: bare.into(),
        takes: 1,
        bodies: vec![body],
        answers: &[&[200]],
    });
    let body = script.body();
    let absolute = script.whole(&body, "connection: close\r\n").replacen(
        "POST /",
        "POST http://elsewhere/",
        1,
    );
    script.cases.push(Case {
        name: "a whole address",
        says: absolute.into(),
        takes: 1,
        bodies: vec![body],
        answers: &[&[200], &[404]],
    });
    let body = script.body();
    let old = script.whole(&body, "").replacen("HTTP/1.1", "HTTP/1.0", 1);
    script.cases.push(Case {
        name: "HTTP/1.0",
        says: old.into(),
        takes: 1,
        bodies: vec![body],
        answers: OK,
    });
    let body = script.body();
    let old = (script.head("") + &body).replacen("HTTP/1.1", "HTTP/1.0", 1);
    script.cases.push(Case {
        name: "HTTP/1.0 without a length",
        says: old.into(),
        takes: 0,
        bodies: vec![body],
        answers: BAD,
    });
}
