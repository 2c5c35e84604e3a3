//! Finds the end of a request head, and reads from it where the request ends.
//!
//! A head that could be read in two ways is refused, so that a proxy before us, this text and the
//! HTTP library agree on where each request begins and ends.

use actix_web::http::{Method, Uri};
use httparse::{EMPTY_HEADER, Request, Status};

use super::chunks::Chunks;

/// Bytes of a request line and its headers. A gateway's are about 500 bytes.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header lines, as the HTTP library has it.
const HEADERS_MAX: usize = 96;

/// A whole head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) bytes: usize,
    pub(super) body: BodyEnd,
    /// The client sends no more requests on this connection.
    pub(super) is_last: bool,
}

/// Where the body of a request ends.
#[derive(Debug)]
pub(super) enum BodyEnd {
    /// After this many bytes, which may be none.
    Length(u64),
    Chunks(Chunks),
    /// With the connection: CONNECT and WebSocket, which nothing here serves.
    Connection,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadHead {
    Malformed,
    TooManyHeaders,
}

/// Reads the head at the start of these bytes. `None` when they do not hold all of it.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Head>, BadHead> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooManyHeaders),
        Err(_) => return Err(BadHead::Malformed),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(BadHead::Malformed);
    };
    if Method::from_bytes(method.as_bytes()).is_err() || !is_target(target) {
        return Err(BadHead::Malformed);
    }

    let framing = Framing::of(request.headers, version).ok_or(BadHead::Malformed)?;
    let body = framing
        .body_end(method, version)
        .ok_or(BadHead::Malformed)?;
    Ok(Some(Head {
        bytes: length,
        is_last: framing.closes || matches!(body, BodyEnd::Connection),
        body,
    }))
}

/// Whether the HTTP library takes the target. Almost all are plain paths, which need not be parsed
/// twice.
fn is_target(target: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    (target.starts_with('/') && target.bytes().all(is_plain)) || Uri::try_from(target).is_ok()
}

/// What the headers say of the request's end.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    is_chunked: bool,
    has_host: bool,
    is_websocket: bool,
    keeps: bool,
    closes: bool,
}

impl Framing {
    /// `None` where a header is doubled or cannot be read.
    fn of(headers: &[httparse::Header<'_>], version: u8) -> Option<Self> {
        let mut framing = Self::default();
        let mut is_doubled = false;
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            // Few names have one of these lengths, which saves the comparisons.
            match header.name.len() {
                4 if is("host") => {
                    is_doubled |= std::mem::replace(&mut framing.has_host, true);
                }
                14 if is("content-length") => {
                    is_doubled |= framing.length.replace(length(header.value)?).is_some();
                }
                17 if is("transfer-encoding") => {
                    is_doubled |= std::mem::replace(&mut framing.is_chunked, true);
                    if !trimmed(header.value).eq_ignore_ascii_case(b"chunked") {
                        return None;
                    }
                }
                10 if is("connection") => {
                    for option in header.value.split(|byte| *byte == b',').map(trimmed) {
                        framing.closes |= option.eq_ignore_ascii_case(b"close");
                        framing.keeps |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                7 if is("upgrade") => {
                    framing.is_websocket |=
                        trimmed(header.value).eq_ignore_ascii_case(b"websocket");
                }
                _ => {}
            }
        }

        let is_old = version == 0;
        framing.closes |= is_old && !framing.keeps;
        let is_doubtful = framing.is_chunked && (is_old || framing.length.is_some());
        let lacks_host = !is_old && !framing.has_host;
        (!is_doubled && !is_doubtful && !lacks_host).then_some(framing)
    }

    fn body_end(&self, method: &str, version: u8) -> Option<BodyEnd> {
        if self.is_chunked {
            return Some(BodyEnd::Chunks(Chunks::new()));
        }
        if self.is_websocket {
            return Some(BodyEnd::Connection);
        }
        match self.length {
            None if method == "CONNECT" => Some(BodyEnd::Connection),
            Some(0) if method == "CONNECT" => Some(BodyEnd::Connection),
            // HTTP/1.0 has no other end of a POST than its length or the connection's end.
            None if version == 0 && method == "POST" => None,
            None => Some(BodyEnd::Length(0)),
            Some(length) => Some(BodyEnd::Length(length)),
        }
    }
}

fn trimmed(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

/// Digits only: no sign, no list, nothing that another reader might take for another number.
fn length(value: &[u8]) -> Option<u64> {
    let digits = trimmed(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Looks for the empty line that ends a head, in bytes that arrive piece by piece. Each byte is
/// looked at once.
#[derive(Debug, Default)]
pub(super) struct EndOfHead {
    scanned: usize,
    /// Bytes of a request line were seen. Empty lines before it do not count.
    has_begun: bool,
    /// Nothing but a carriage return was seen in this line.
    is_empty_line: bool,
}

impl EndOfHead {
    /// Looks at the bytes that were not looked at before. Returns where the head ends.
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(&byte) = bytes.get(self.scanned) {
            self.scanned += 1;
            match byte {
                b'\n' if self.is_empty_line && self.has_begun => return Some(self.scanned),
                b'\n' => self.is_empty_line = true,
                b'\r' => {}
                _ => {
                    self.has_begun = true;
                    self.is_empty_line = false;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &str) -> Result<Option<Head>, BadHead> {
        parse(format!("POST /x HTTP/1.1\r\nhost: x\r\n{lines}\r\n").as_bytes())
    }

    fn length_of(lines: &str) -> Option<u64> {
        match head(lines).ok()??.body {
            BodyEnd::Length(length) => Some(length),
            _ => None,
        }
    }

    #[test]
    fn end_of_a_request_is_read_from_its_head() {
        assert_eq!(length_of(""), Some(0));
        assert_eq!(length_of("Content-Length: 17\r\n"), Some(17));
        assert_eq!(length_of("content-length:\t007 \r\n"), Some(7));
        let chunked = head("Transfer-Encoding: CHUNKED\r\n").unwrap().unwrap();
        assert!(matches!(chunked.body, BodyEnd::Chunks(_)));
        let upgrade = head("content-length: 3\r\nupgrade: WebSocket\r\n")
            .unwrap()
            .unwrap();
        assert!(matches!(upgrade.body, BodyEnd::Connection) && upgrade.is_last);
    }

    #[test]
    fn doubtful_head_is_refused() {
        for lines in [
            "content-length: +1\r\n",
            "content-length: \r\n",
            "content-length: 1, 1\r\n",
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: 99999999999999999999\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 1\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: identity\r\n",
            "transfer-encoding:\r\n",
            "host: y\r\n",
            "x : y\r\n",
            "x: y\r\n z\r\n",
        ] {
            assert_eq!(head(lines).err(), Some(BadHead::Malformed), "{lines:?}");
        }
        for whole in [
            "POST / HTTP/1.1\r\n\r\n",
            "POST / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET / HTTP/2.0\r\nhost: x\r\n\r\n",
            "G\0T / HTTP/1.1\r\nhost: x\r\n\r\n",
        ] {
            assert_eq!(
                parse(whole.as_bytes()).err(),
                Some(BadHead::Malformed),
                "{whole:?}"
            );
        }
        let many = head(&"x: y\r\n".repeat(HEADERS_MAX));
        assert_eq!(many.err(), Some(BadHead::TooManyHeaders));
    }

    #[test]
    fn last_request_is_known_by_its_head() {
        for (lines, is_last) in [
            ("", false),
            ("connection: keep-alive\r\n", false),
            ("connection: close\r\n", true),
            ("connection: x\r\nconnection: keep-alive, CLOSE\r\n", true),
        ] {
            assert_eq!(head(lines).unwrap().unwrap().is_last, is_last, "{lines:?}");
        }
        let old = parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().unwrap();
        assert!(old.is_last);
        let kept = parse(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").unwrap();
        assert!(!kept.unwrap().is_last);
    }

    #[test]
    fn end_of_a_head_is_where_the_parser_finds_it() {
        for head in [
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "\r\n\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "GET / HTTP/1.1\nhost: x\n\n",
            "GET / HTTP/1.1\nhost: x\n\r\n",
        ] {
            let bytes = format!("{head}GET / HTTP/1.1\r\n\r\n").into_bytes();
            assert_eq!(
                parse(&bytes).unwrap().unwrap().bytes,
                head.len(),
                "{head:?}"
            );
            let mut end = EndOfHead::default();
            let found = (1..=bytes.len()).find_map(|arrived| end.find(&bytes[..arrived]));
            assert_eq!(found, Some(head.len()), "{head:?}");
        }
    }
}
