//! HTTP framing, right and wrong: nothing is accepted that was not whole, nothing is answered with a 500, and
//! two readings of one request are never possible.

use crate::raw::{lives_on, say, taken};
use crate::stage::{Ingress, Stage, stk_success};

/// What one connection says, and what may be answered to it.
struct Case {
    name: &'static str,
    says: Vec<u8>,
    /// How many of the bodies below are taken, in this order.
    takes: usize,
    bodies: Vec<String>,
    /// One of these sequences of statuses; none at all: closed without a word.
    answers: &'static [&'static [u16]],
}

struct Script {
    path: String,
    number: u32,
    cases: Vec<Case>,
}

impl Script {
    /// A body nobody has sent before.
    fn body(&mut self) -> String {
        self.number += 1;
        stk_success(&format!("UIS41{:05}", self.number))
    }

    fn head(&self, more: &str) -> String {
        format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{more}\r\n", self.path)
    }

    fn whole(&self, body: &str, more: &str) -> String {
        self.head(&format!("content-length: {}\r\n{more}", body.len())) + body
    }

    /// One request whose head has these lines, and whose body is written so.
    fn one(
        &mut self,
        name: &'static str,
        lines: impl Fn(&str) -> String,
        written: impl Fn(&str) -> String,
        takes: usize,
        answers: &'static [&'static [u16]],
    ) {
        let body = self.body();
        let says =
            (self.head(&format!("{}connection: close\r\n", lines(&body))) + &written(&body)).into_bytes();
        self.cases.push(Case { name, says, takes, bodies: vec![body], answers });
    }

    /// One body, said as it is.
    fn raw(&mut self, name: &'static str, answers: &'static [&'static [u16]], says: impl Into<Vec<u8>>) {
        self.cases.push(Case { name, says: says.into(), takes: 0, bodies: Vec::new(), answers });
    }
}

const OK: &[&[u16]] = &[&[200]];
const BAD: &[&[u16]] = &[&[400], &[]];
const CUT_OFF: &[&[u16]] = &[&[408], &[400], &[]];
const TOO_LARGE: &[&[u16]] = &[&[431], &[400], &[414], &[]];

fn length(body: &str) -> String {
    format!("content-length: {}\r\n", body.len())
}

fn chunked(_: &str) -> String {
    "transfer-encoding: chunked\r\n".to_owned()
}

fn in_one_chunk(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

fn lengths(script: &mut Script) {
    let same = |body: &str| body.to_owned();
    script.one("a length", length, same, 1, OK);
    script.one(
        "a length with zeros",
        |body| format!("content-length: 000{}\r\n", body.len()),
        same,
        1,
        &[&[200], &[400]],
    );
    script.one("no length", |_| String::new(), same, 0, &[&[422, 400], &[422], &[400]]);
    script.one("two lengths", |body| format!("{}content-length: 1\r\n", length(body)), same, 0, BAD);
    script.one(
        "two lengths in one",
        |body| format!("content-length: {0}, {0}\r\n", body.len()),
        same,
        0,
        BAD,
    );
    for value in ["+1", "-1", "0x10", "1 1", "1e1", "", "99999999999999999999999999", "１", "\x0b5"] {
        script.one("no number for a length", |_| format!("content-length: {value}\r\n"), same, 0, BAD);
    }
    script.one(
        "a length with a blank before the colon",
        |body| format!("content-length : {}\r\n", body.len()),
        same,
        0,
        BAD,
    );
    script.one(
        "a length too great",
        |body| format!("content-length: {}\r\n", body.len() + 1),
        same,
        0,
        CUT_OFF,
    );
    script.one(
        "a length of more than is taken",
        |_| "content-length: 262145\r\n".to_owned(),
        same,
        0,
        &[&[413]],
    );
    script.one(
        "a length beyond all",
        |_| "content-length: 18446744073709551615\r\n".to_owned(),
        same,
        0,
        &[&[413], &[400]],
    );
}

fn chunks(script: &mut Script) {
    script.one("one chunk", chunked, in_one_chunk, 1, OK);
    script.one(
        "a chunk for each byte",
        chunked,
        |body| body.chars().map(|c| format!("1\r\n{c}\r\n")).collect::<String>() + "0\r\n\r\n",
        1,
        OK,
    );
    script.one(
        "an extension",
        chunked,
        |body| format!("{:X};a=b\r\n{body}\r\n0;c\r\n\r\n", body.len()),
        1,
        &[&[200], &[400], &[408], &[]],
    );
    script.one(
        "a trailer",
        chunked,
        |body| format!("{:x}\r\n{body}\r\n0\r\nx: y\r\n\r\n", body.len()),
        1,
        &[&[200]],
    );
    for (name, size) in [
        ("a size that is none", "zz"),
        ("a negative size", "-1"),
        ("a size with a sign", "+5"),
        ("a size in C", "0x5"),
        ("a size beyond all", "fffffffffffffffff"),
        ("a size of blanks", " "),
        ("no size", ""),
    ] {
        script.one(name, chunked, |body| format!("{size}\r\n{body}\r\n0\r\n\r\n"), 0, CUT_OFF);
    }
    script.one(
        "a chunk longer than it says",
        chunked,
        |body| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len() - 1),
        0,
        CUT_OFF,
    );
    script.one(
        "a chunk shorter than it says",
        chunked,
        |body| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len() + 9),
        0,
        CUT_OFF,
    );
    script.one("no last chunk", chunked, |body| format!("{:x}\r\n{body}\r\n", body.len()), 0, CUT_OFF);
    script.one(
        "a last chunk half said",
        chunked,
        |body| format!("{:x}\r\n{body}\r\n0\r\n", body.len()),
        0,
        CUT_OFF,
    );
    script.one(
        "more chunks than are taken",
        chunked,
        |_| {
            "8000\r\n".to_owned()
                + &" ".repeat(0x8000)
                + "\r\n"
                + &("8000\r\n".to_owned() + &" ".repeat(0x8000) + "\r\n").repeat(8)
        },
        0,
        &[&[413]],
    );
}

/// Two readings of one request: what a proxy before us may take for the end of it.
fn smuggling(script: &mut Script) {
    let both = |body: &str| format!("{}{}", length(body), chunked(body));
    script.one("length and chunks", both, in_one_chunk, 0, BAD);
    script.one(
        "chunks and length",
        |body| format!("{}{}", chunked(body), length(body)),
        in_one_chunk,
        0,
        BAD,
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
        script.one(
            "a coding that is not chunked alone",
            |_| format!("transfer-encoding: {coding}\r\n"),
            in_one_chunk,
            0,
            &[&[400], &[], &[422, 400], &[422]],
        );
    }
    script.one(
        "a coding with a blank before the colon",
        |_| "transfer-encoding : chunked\r\n".to_owned(),
        in_one_chunk,
        0,
        BAD,
    );
    script.one("a coding folded", |_| "transfer-encoding:\r\n chunked\r\n".to_owned(), in_one_chunk, 0, BAD);
    script.one(
        "a line with a bare end",
        |body| format!("x: y\rcontent-length: {}\r\n", body.len()),
        |body| body.to_owned(),
        0,
        &[&[400], &[], &[422, 400]],
    );
}

fn heads(script: &mut Script) {
    type Line = (&'static str, &'static str, &'static [&'static [u16]]);
    const LINES: &[Line] = &[
        ("HTTP/0.9", "POST PATH\r\n", BAD),
        ("HTTP/3.0", "POST PATH HTTP/3.0\r\n", &[&[400], &[505], &[]]),
        ("no version", "POST PATH HTTP\r\n", BAD),
        ("a tab for a blank", "POST\tPATH\tHTTP/1.1\r\n", BAD),
        ("a NUL in the path", "POST PATH\0 HTTP/1.1\r\n", BAD),
        ("no method", " PATH HTTP/1.1\r\n", BAD),
        ("another method", "PoST PATH HTTP/1.1\r\n", &[&[405], &[400]]),
        ("an endless method", "METHOD PATH HTTP/1.1\r\n", &[&[400], &[405], &[431], &[]]),
        ("an authority for a path", "POST x:80 HTTP/1.1\r\n", &[&[404], &[400]]),
        ("a star", "POST * HTTP/1.1\r\n", &[&[404], &[400]]),
        ("dots", "POST /webhooks/../PATH HTTP/1.1\r\n", &[&[404]]),
        ("an escaped NUL", "POST /webhooks/daraja/%00/stk HTTP/1.1\r\n", &[&[404], &[503]]),
        ("escapes that are none", "POST /webhooks/daraja/%zz%/stk HTTP/1.1\r\n", &[&[404], &[400], &[503]]),
        (
            "bytes that are no text",
            "POST /webhooks/daraja/%ff%fe/stk HTTP/1.1\r\n",
            &[&[404], &[400], &[503]],
        ),
    ];
    for &(name, line, answers) in LINES {
        let line = line.replace("METHOD", &"M".repeat(70_000)).replace("PATH", &script.path.clone());
        script.raw(name, answers, format!("{line}host: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    }
    for (name, line) in [
        ("an endless line", format!("x: {}\r\n", "y".repeat(200_000))),
        ("an endless name", format!("{}: y\r\n", "x".repeat(200_000))),
    ] {
        script.one(name, move |body| line.clone() + &length(body), |body| body.to_owned(), 0, TOO_LARGE);
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
    let absolute =
        script.whole(&body, "connection: close\r\n").replacen("POST /", "POST http://elsewhere/", 1);
    script.cases.push(Case {
        name: "a whole address",
        says: absolute.into(),
        takes: 1,
        bodies: vec![body],
        answers: &[&[200], &[404]],
    });
    let body = script.body();
    let old = script.whole(&body, "").replacen("HTTP/1.1", "HTTP/1.0", 1);
    script.cases.push(Case { name: "HTTP/1.0", says: old.into(), takes: 1, bodies: vec![body], answers: OK });
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

fn several(script: &mut Script) {
    let three = [script.body(), script.body(), script.body()];
    let says = script.whole(&three[0], "")
        + &script.whole(&three[1], "")
        + &script.whole(&three[2], "connection: close\r\n");
    script.cases.push(Case {
        name: "three at once",
        says: says.into(),
        takes: 3,
        bodies: three.into(),
        answers: &[&[200, 200, 200]],
    });
    let body = script.body();
    let says = script.whole(&body, "") + "GARBAGE\r\n\r\n";
    script.cases.push(Case {
        name: "one, then garbage",
        says: says.into(),
        takes: 1,
        bodies: vec![body],
        answers: &[&[200, 400], &[200]],
    });
    let two = [script.body(), script.body()];
    let says = script.whole(&two[0], "") + &script.whole(&two[1], "")[..200];
    script.cases.push(Case {
        name: "one and a half",
        says: says.into(),
        takes: 1,
        bodies: two.into(),
        answers: &[&[200], &[200, 408], &[200, 400]],
    });
    let two = [script.body(), script.body()];
    let says = script.whole(&two[0], "connection: close\r\n") + &script.whole(&two[1], "");
    script.cases.push(Case {
        name: "one after the last",
        says: says.into(),
        takes: 2,
        bodies: two.into(),
        answers: &[&[200], &[200, 200]],
    });
    for expect in ["100-continue", "nonsense"] {
        script.one(
            "an expectation",
            |body| format!("expect: {expect}\r\n{}", length(body)),
            |body| body.to_owned(),
            1,
            &[&[100, 200], &[200], &[417]],
        );
    }
    script.one(
        "an upgrade",
        |body| format!("upgrade: h2c\r\nhttp2-settings: AAAA\r\n{}", length(body)),
        |body| body.to_owned(),
        1,
        &[&[200], &[400]],
    );
}

/// Whatever is answered with 200 is in the queue, byte for byte and once; nothing else is, but what could not
/// be read.
async fn holds(stage: &Stage, ingress: &Ingress, case: &Case) {
    let answers = say(ingress.address, &[&case.says]).await;
    let name = case.name;
    assert!(case.answers.contains(&&answers.statuses()[..]), "{name}: {answers:?}");
    let (readable, unreadable): (Vec<_>, Vec<_>) =
        taken(stage).await.into_iter().partition(|(_, readable)| *readable);
    assert_eq!(readable.len(), answers.accepted(), "{name}: {answers:?}");
    for ((body, _), expected) in readable.iter().zip(&case.bodies) {
        assert_eq!(String::from_utf8_lossy(body), *expected, "{name}");
    }
    assert!(readable.len() <= case.takes, "{name}");
    assert!(unreadable.len() <= answers.statuses().iter().filter(|status| **status == 422).count(), "{name}");
}

#[tokio::test]
async fn framing_by_the_book_and_not() {
    let stage = Stage::set().await;
    let ingress = stage.ingress_with(|program| program.env("RISITI_BODY_TIMEOUT", "1s")).await;
    let mut script = Script { path: stage.stk(), number: 0, cases: Vec::new() };
    lengths(&mut script);
    chunks(&mut script);
    smuggling(&mut script);
    heads(&mut script);
    several(&mut script);
    for case in &script.cases {
        holds(&stage, &ingress, case).await;
    }
    // Torn anywhere: as if in one piece.
    let body = script.body();
    let whole = script.whole(&body, "connection: close\r\n");
    let bytes: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
    assert_eq!(say(ingress.address, &bytes).await.accepted(), 1);
    assert_eq!(taken(&stage).await, [(body.into_bytes(), true)]);
    lives_on(&stage, &ingress).await;
}
