//! The part of HTTP/1.1 that an answer to a webhook needs: status and length.

/// An answer that has arrived whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes of head and body.
    pub(crate) length: usize,
    /// The server takes no further request on this connection.
    pub(crate) is_last: bool,
}

/// What arrived is no answer with a status and a content length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoAnswer;

/// Reads the first answer of `bytes`. Returns `None` while it is incomplete.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Answer>, NoAnswer> {
    let Some(head_length) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..head_length]).map_err(|_| NoAnswer)?;
    let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let field = |name: &str| {
        fields
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    };
    let status = first
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3)?.parse().ok())
        .ok_or(NoAnswer)?;
    let body_length: usize = field("content-length")
        .and_then(|text| text.parse().ok())
        .ok_or(NoAnswer)?;

    let answer = Answer {
        status,
        length: head_length + 4 + body_length,
        is_last: field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    };
    Ok((bytes.len() >= answer.length).then_some(answer))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_read_once_it_is_whole() {
        let text =
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nretry-after: 5\r\n\r\n{}";
        let whole = Answer {
            status: 503,
            length: text.len(),
            is_last: false,
        };
        assert_eq!(read(text), Ok(Some(whole)));
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]), Ok(None), "after {end} bytes");
        }
        assert_eq!(read(&[&text[..], b"HTTP"].concat()), Ok(Some(whole)));
    }

    #[test]
    fn last_answer_of_a_connection_is_told() {
        let text =
            b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let answer = read(text).unwrap().unwrap();
        assert!(answer.is_last && answer.status == 408);
    }

    #[test]
    fn anything_else_is_no_answer() {
        for text in [
            "hello\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 x\r\n\r\n",
        ] {
            assert_eq!(read(text.as_bytes()), Err(NoAnswer), "{text:?}");
        }
    }
}
