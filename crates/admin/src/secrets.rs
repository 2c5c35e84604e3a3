//! Secrets from files and variables. Arguments are seen by everyone who may list processes.

use std::io::Read as _;
use std::path::Path;

use anyhow::Result;
use risiti_service::BadSetting;
use secrecy::SecretString;

/// Longer than any key a gateway or KRA hands out.
const BYTES_MAX: u64 = 4096;

/// # Errors
/// [`BadSetting`] that names the flag, never the contents.
pub(crate) fn from_file(flag: &str, path: &Path) -> Result<SecretString> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| BadSetting::new(flag, format!("{}: {error}", path.display())))?;
    checked(flag, &text)
}

/// # Errors
/// [`BadSetting`] that names the flag and the variable.
pub(crate) fn from_variable(flag: &str, name: &str) -> Result<SecretString> {
    let text =
        std::env::var(name).map_err(|_| BadSetting::new(flag, format!("{name} is not set")))?;
    checked(flag, &text)
}

/// Without the line's end that editors leave.
fn checked(flag: &str, text: &str) -> Result<SecretString> {
    let text = text.trim();
    if text.is_empty()
        || text.len() as u64 > BYTES_MAX
        || !text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(BadSetting::new(
            flag,
            "expected one line of printable characters without blanks",
        )
        .into());
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn the_end_of_the_line_is_no_part_of_a_secret() {
        assert_eq!(
            checked("--x", "sk_live_1\r\n").unwrap().expose_secret(),
            "sk_live_1"
        );
    }

    #[test]
    fn what_cannot_be_a_secret_is_refused_and_not_shown() {
        for bad in ["", "\n", "two words", "two\nlines", "caf\u{e9}"] {
            let error = checked("--x", bad).unwrap_err().to_string();
            assert!(error.starts_with("--x: expected"), "{error}");
        }
    }
}
