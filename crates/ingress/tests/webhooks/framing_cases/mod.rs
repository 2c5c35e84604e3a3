//! Requests with valid and invalid framing, each with the answers that are allowed.

mod chunks;
mod heads;
mod lengths;
mod pipelining;
mod smuggling;
mod targets;

use crate::fixture::stk_success;

/// Sequences of statuses on one connection. An empty sequence means that the connection is closed
/// without an answer.
pub(crate) type Allowed = &'static [&'static [u16]];

const ACCEPTED: Allowed = &[&[200]];
const REFUSED: Allowed = &[&[400], &[]];
/// A body that ended early or has chunks that cannot be read.
const MALFORMED: Allowed = &[&[400]];
const TOO_LARGE: Allowed = &[&[431], &[400], &[414], &[]];

const CHUNKED: &str = "transfer-encoding: chunked\r\n";
pub(crate) const CONNECTION_CLOSE: &str = "connection: close\r\n";

/// What one connection sends, and what it may be answered.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// The bodies of its requests. Those that are accepted come first, in this order.
    pub(crate) bodies: Vec<String>,
    pub(crate) allowed: Allowed,
}

impl Case {
    /// The most webhooks that may be accepted.
    pub(crate) fn accepted_max(&self) -> usize {
        let accepted = |statuses: &&[u16]| statuses.iter().filter(|status| **status == 200).count();
        self.allowed.iter().map(accepted).max().unwrap_or_default()
    }
}

/// Writes requests for one path, each with a body that was not sent before.
pub(crate) struct Requests {
    path: String,
    bodies: u32,
}

impl Requests {
    pub(crate) fn new(path: String) -> Self {
        Self { path, bodies: 0 }
    }

    pub(crate) fn new_body(&mut self) -> String {
        self.bodies += 1;
        stk_success(&format!("UIS41{:05}", self.bodies))
    }

    /// The head of a request that has these lines beside the usual ones.
    pub(crate) fn head(&self, lines: &str) -> String {
        format!(
            "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{lines}\r\n",
            self.path
        )
    }

    /// A valid request that has these lines beside the usual ones.
    pub(crate) fn request(&self, body: &str, lines: &str) -> String {
        self.head(&format!("{}{lines}", content_length(body))) + body
    }
}

pub(crate) struct FramingCases {
    pub(crate) requests: Requests,
    pub(crate) all: Vec<Case>,
}

impl FramingCases {
    pub(crate) fn new(path: String) -> Self {
        let mut cases = Self {
            requests: Requests::new(path),
            all: Vec::new(),
        };
        lengths::add(&mut cases);
        chunks::add(&mut cases);
        smuggling::add(&mut cases);
        targets::add(&mut cases);
        heads::add(&mut cases);
        pipelining::add(&mut cases);
        cases
    }

    /// Adds bytes that hold no webhook.
    fn add_bytes(&mut self, name: &'static str, bytes: impl Into<Vec<u8>>, allowed: Allowed) {
        self.all.push(Case {
            name,
            bytes: bytes.into(),
            bodies: Vec::new(),
            allowed,
        });
    }

    /// Adds bytes that hold requests with these bodies.
    fn add_requests(
        &mut self,
        name: &'static str,
        bytes: impl Into<Vec<u8>>,
        bodies: impl Into<Vec<String>>,
        allowed: Allowed,
    ) {
        self.all.push(Case {
            name,
            bytes: bytes.into(),
            bodies: bodies.into(),
            allowed,
        });
    }

    /// Adds a request with the lines and the written body that these functions make of its body.
    fn add(
        &mut self,
        name: &'static str,
        lines: impl Fn(&str) -> String,
        written: impl Fn(&str) -> String,
        allowed: Allowed,
    ) {
        let body = self.requests.new_body();
        let lines = format!("{}{CONNECTION_CLOSE}", lines(&body));
        let bytes = self.requests.head(&lines) + &written(&body);
        self.add_requests(name, bytes, [body], allowed);
    }

    /// Adds a request with these lines, whose body is written as it is.
    fn add_with_lines(
        &mut self,
        name: &'static str,
        lines: impl Fn(&str) -> String,
        allowed: Allowed,
    ) {
        self.add(name, lines, str::to_owned, allowed);
    }

    /// Adds a request that announces chunks, with the body that this function writes.
    fn add_chunked(
        &mut self,
        name: &'static str,
        written: impl Fn(&str) -> String,
        allowed: Allowed,
    ) {
        self.add(name, |_| CHUNKED.to_owned(), written, allowed);
    }
}

fn content_length(body: &str) -> String {
    format!("content-length: {}\r\n", body.len())
}

fn in_one_chunk(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}
