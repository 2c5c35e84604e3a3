//! Logo files, checked before they reach a document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::LogoError;

/// The largest logo file.
pub const LOGO_BYTES_MAX: usize = 1024 * 1024;
/// The longest side of a logo. A picture of this size is decoded into at most 32 MB.
pub const LOGO_PIXELS_MAX: u32 = 2000;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A PNG or JPEG file of bounded size. Whether its pixels can be decoded shows when it is drawn.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    bytes: Vec<u8>,
    format: Format,
    width: u32,
    height: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Png,
    Jpeg,
}

impl Logo {
    pub fn read(bytes: Vec<u8>) -> Result<Self, LogoError> {
        if bytes.len() > LOGO_BYTES_MAX {
            return Err(LogoError::TooLarge(LOGO_BYTES_MAX));
        }
        let (format, size) = if bytes.starts_with(PNG) {
            (Format::Png, png_size(&bytes))
        } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            (Format::Jpeg, jpeg_size(&bytes))
        } else {
            return Err(LogoError::Format);
        };
        let (width, height) = size.ok_or(LogoError::Broken)?;
        let sides = 1..=LOGO_PIXELS_MAX;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(LogoError::Size(LOGO_PIXELS_MAX));
        }
        Ok(Self {
            bytes,
            format,
            width,
            height,
        })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// The whole file as a link, so that a page needs no other file.
    pub(crate) fn data_url(&self) -> String {
        let kind = match self.format {
            Format::Png => "png",
            Format::Jpeg => "jpeg",
        };
        format!("data:image/{kind};base64,{}", STANDARD.encode(&self.bytes))
    }
}

impl std::fmt::Debug for Logo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Logo({:?} {}x{})", self.format, self.width, self.height)
    }
}

/// The header chunk of a PNG file is always its first.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.get(8..24)?;
    if &header[4..8] != b"IHDR" {
        return None;
    }
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().expect("four bytes"));
    Some((number(8), number(12)))
}

/// Walks the segments of a JPEG file to its frame, which has the size.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        if marker == 0xff {
            at += 1;
            continue;
        }
        let number = |at: usize| {
            let pair = bytes.get(at..at + 2)?;
            Some(u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        };
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame {
            return Some((number(at + 7)?, number(at + 5)?));
        }
        let length = usize::try_from(number(at + 2)?).ok()?;
        // Pixels begin here, and no frame came before them.
        if marker == 0xda || length < 2 {
            return None;
        }
        at += 2 + length;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = PNG.to_vec();
        bytes.extend_from_slice(&[0, 0, 0, 13]);
        bytes.extend_from_slice(b"IHDR");
        bytes.extend_from_slice(&width.to_be_bytes());
        bytes.extend_from_slice(&height.to_be_bytes());
        bytes
    }

    #[test]
    fn sizes_are_read_from_both_formats() {
        let sides = |bytes| {
            let logo = Logo::read(bytes).unwrap();
            (logo.width, logo.height)
        };
        assert_eq!(sides(png(60, 40)), (60, 40));
        let jpeg = [
            &[0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2][..],
            &[0xff, 0xc0, 0, 11, 8, 0, 40, 0, 60, 1, 1, 0x11, 0],
        ]
        .concat();
        assert_eq!(sides(jpeg), (60, 40));
    }

    #[test]
    fn a_logo_has_a_bounded_size() {
        assert_eq!(
            Logo::read(png(LOGO_PIXELS_MAX + 1, 1)),
            Err(LogoError::Size(LOGO_PIXELS_MAX))
        );
        assert_eq!(Logo::read(png(1, 0)), Err(LogoError::Size(LOGO_PIXELS_MAX)));
        assert_eq!(
            Logo::read(vec![0; LOGO_BYTES_MAX + 1]),
            Err(LogoError::TooLarge(LOGO_BYTES_MAX))
        );
    }

    #[test]
    fn scripts_and_broken_files_are_no_logos() {
        assert_eq!(
            Logo::read(b"<svg onload=\"x\">".to_vec()),
            Err(LogoError::Format)
        );
        assert_eq!(Logo::read(PNG.to_vec()), Err(LogoError::Broken));
        assert_eq!(
            Logo::read(vec![0xff, 0xd8, 0xff, 0xda, 0, 2]),
            Err(LogoError::Broken)
        );
    }

    proptest! {
        #[test]
        fn any_jpeg_can_be_measured(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&[0xff, 0xd8, 0xff][..], &tail].concat();
            let _ = Logo::read(bytes);
        }
    }
}
