//! Requests by the book and not, each with what may be answered.

use crate::heads::heads;
use crate::stage::stk_success;

/// What one connection says, and what may be answered to it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) says: Vec<u8>,
    /// How many of the bodies below are taken, in this order.
    pub(crate) takes: usize,
    pub(crate) bodies: Vec<String>,
    /// One of these sequences of statuses; none at all: closed without a word.
    pub(crate) answers: &'static [&'static [u16]],
}

pub(crate) struct Script {
    pub(crate) path: String,
    number: u32,
    pub(crate) cases: Vec<Case>,
}

impl Script {
    /// For the webhooks of this path.
    pub(crate) fn new(path: String) -> Self {
        let mut script = Self {
            path,
            number: 0,
            cases: Vec::new(),
        };
        lengths(&mut script);
        chunks(&mut script);
        smuggling(&mut script);
        heads(&mut script);
        several(&mut script);
        script
    }

    /// A body nobody has sent before.
    pub(crate) fn body(&mut self) -> String {
        self.number += 1;
        stk_success(&format!("UIS41{:05}", self.number))
    }

    pub(crate) fn head(&self, more: &str) -> String {
        format!(
            "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{more}\r\n",
            self.path
        )
    }

    pub(crate) fn whole(&self, body: &str, more: &str) -> String {
        self.head(&format!("content-length: {}\r\n{more}", body.len())) + body
    }

    /// One request whose head has these lines, and whose body is written so.
    pub(crate) fn one(
        &mut self,
        name: &'static str,
        lines: impl Fn(&str) -> String,
        written: impl Fn(&str) -> String,
        takes: usize,
        answers: &'static [&'static [u16]],
    ) {
        let body = self.body();
        let says = (self.head(&format!("{}connection: close\r\n", lines(&body))) + &written(&body))
            .into_bytes();
        self.cases.push(Case {
            name,
            says,
            takes,
            bodies: vec![body],
            answers,
        });
    }

    /// One body, said as it is.
    pub(crate) fn raw(
        &mut self,
        name: &'static str,
        answers: &'static [&'static [u16]],
        says: impl Into<Vec<u8>>,
    ) {
        self.cases.push(Case {
            name,
            says: says.into(),
            takes: 0,
            bodies: Vec::new(),
            answers,
        });
    }
}

pub(crate) const OK: &[&[u16]] = &[&[200]];
pub(crate) const BAD: &[&[u16]] = &[&[400], &[]];
const CUT_OFF: &[&[u16]] = &[&[408], &[400], &[]];
pub(crate) const TOO_LARGE: &[&[u16]] = &[&[431], &[400], &[414], &[]];

pub(crate) fn length(body: &str) -> String {
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
    script.one(
        "no length",
        |_| String::new(),
        same,
        0,
        &[&[422, 400], &[422], &[400]],
    );
    script.one(
        "two lengths",
        |body| format!("{}content-length: 1\r\n", length(body)),
        same,
        0,
        BAD,
    );
    script.one(
        "two lengths in one",
        |body| format!("content-length: {0}, {0}\r\n", body.len()),
        same,
        0,
        BAD,
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
        script.one(
            "no number for a length",
            |_| format!("content-length: {value}\r\n"),
            same,
            0,
            BAD,
        );
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
        |body| {
            body.chars()
                .map(|c| format!("1\r\n{c}\r\n"))
                .collect::<String>()
                + "0\r\n\r\n"
        },
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
        script.one(
            name,
            chunked,
            |body| format!("{size}\r\n{body}\r\n0\r\n\r\n"),
            0,
            CUT_OFF,
        );
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
    script.one(
        "no last chunk",
        chunked,
        |body| format!("{:x}\r\n{body}\r\n", body.len()),
        0,
        CUT_OFF,
    );
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
    script.one(
        "a coding folded",
        |_| "transfer-encoding:\r\n chunked\r\n".to_owned(),
        in_one_chunk,
        0,
        BAD,
    );
    script.one(
        "a line with a bare end",
        |body| format!("x: y\rcontent-length: {}\r\n", body.len()),
        |body| body.to_owned(),
        0,
        &[&[400], &[], &[422, 400]],
    );
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
