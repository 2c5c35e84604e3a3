//! Finds the end of a chunked body. The HTTP library reads the chunks.
//!
//! What the library might take for another end than this text does is refused, so that both agree
//! on where the next request begins. Trailers are read and mean nothing.

/// Digits of a chunk's size. No body that is allowed needs more than five.
const SIZE_DIGITS_MAX: u32 = 8;
/// Bytes of all extensions and trailers of one body. Nobody who sends webhooks uses any.
const EXTRA_BYTES_MAX: u32 = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size {
        digits: u32,
    },
    AfterSize,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a line after the last chunk.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
}

/// The place in a chunked body up to which its bytes were walked.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    /// The size of the chunk, and then what is still to come of it.
    size: u64,
    extra: u32,
}

/// The bytes are no chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadChunk;

impl Chunks {
    pub(super) fn new() -> Self {
        Self {
            at: At::Size { digits: 0 },
            size: 0,
            extra: 0,
        }
    }

    /// Walks over these bytes. Returns how many of them belong to the body when they hold its end.
    pub(super) fn walk(&mut self, bytes: &[u8]) -> Result<Option<usize>, BadChunk> {
        let mut place = 0;
        while let Some(&byte) = bytes.get(place) {
            if self.at == At::Data {
                let left = (bytes.len() - place) as u64;
                let step = self.size.min(left);
                self.size -= step;
                place += usize::try_from(step).unwrap_or(usize::MAX);
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            place += 1;
            if self.at == At::EndLf && byte == b'\n' {
                return Ok(Some(place));
            }
            self.at = self.after(byte)?;
        }
        Ok(None)
    }

    fn after(&mut self, byte: u8) -> Result<At, BadChunk> {
        match (self.at, byte) {
            (At::Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
                if digits < SIZE_DIGITS_MAX =>
            {
                let digit = char::from(byte).to_digit(16).ok_or(BadChunk)?;
                self.size = self.size * 16 + u64::from(digit);
                Ok(At::Size { digits: digits + 1 })
            }
            (At::Size { digits: 1.. } | At::AfterSize, b' ' | b'\t') => {
                self.count_extra()?;
                Ok(At::AfterSize)
            }
            (At::Size { digits: 1.. } | At::AfterSize, b';') => Ok(At::Extension),
            (At::Size { digits: 1.. } | At::AfterSize | At::Extension, b'\r') => Ok(At::SizeLf),
            (At::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count_extra()?;
                Ok(At::Extension)
            }
            (At::SizeLf, b'\n') if self.size == 0 => Ok(At::TrailerStart),
            (At::SizeLf, b'\n') => Ok(At::Data),
            (At::DataCr, b'\r') => Ok(At::DataLf),
            (At::DataLf, b'\n') => Ok(At::Size { digits: 0 }),
            (At::TrailerStart, b'\r') => Ok(At::EndLf),
            (At::Trailer, b'\r') => Ok(At::TrailerLf),
            (At::TrailerStart | At::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                self.count_extra()?;
                Ok(At::Trailer)
            }
            (At::TrailerLf, b'\n') => Ok(At::TrailerStart),
            _ => Err(BadChunk),
        }
    }

    fn count_extra(&mut self) -> Result<(), BadChunk> {
        self.extra += 1;
        if self.extra > EXTRA_BYTES_MAX {
            return Err(BadChunk);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks over the bytes in pieces of this length.
    fn end(bytes: &[u8], piece: usize) -> Result<Option<usize>, BadChunk> {
        let mut chunks = Chunks::new();
        let mut before = 0;
        for piece in bytes.chunks(piece) {
            if let Some(end) = chunks.walk(piece)? {
                return Ok(Some(before + end));
            }
            before += piece.len();
        }
        Ok(None)
    }

    #[test]
    fn end_is_found_however_the_bytes_arrive() {
        for body in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "A;x=y\r\n0123456789\r\n1 \r\n\r\r\n000\r\n\r\n",
            "3\r\n0\r\n\r\n0;last\r\nTrailer: x\r\nAnother: y\r\n\r\n",
        ] {
            let with_more = format!("{body}POST / HTTP/1.1\r\n");
            for piece in 1..=with_more.len() {
                let found = end(with_more.as_bytes(), piece);
                assert_eq!(found, Ok(Some(body.len())), "{body:?} by {piece}");
            }
            let cut = &body.as_bytes()[..body.len() - 1];
            assert_eq!(end(cut, 7), Ok(None), "{body:?}");
        }
    }

    #[test]
    fn anything_doubtful_is_refused() {
        for body in [
            "\r\n",
            " 5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "+5\r\nhello\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5 5\r\nhello",
            "5;a\nb\r\nhello",
            "000000005\r\nhello\r\n",
            "0\r\n\n",
            "0\r\nx: y\n\r\n",
        ] {
            assert_eq!(end(body.as_bytes(), 1), Err(BadChunk), "{body:?}");
        }
        let endless = format!("5;{}", "x".repeat(5_000));
        assert_eq!(end(endless.as_bytes(), 100), Err(BadChunk));
        let trailers = format!("0\r\n{}", "x: y\r\n".repeat(2_000));
        assert_eq!(end(trailers.as_bytes(), 100), Err(BadChunk));
    }
}
