//! Secrets from files and variables. They never come from arguments, which everyone who may list
//! processes can see.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Result;
use risiti_service::BadSetting;
use secrecy::SecretString;

/// Longest secret in bytes. No gateway's key and none of KRA's is as long.
const BYTES_MAX: u64 = 4096;

/// Reads the secret in a file.
///
/// # Errors
/// A [`BadSetting`] that names the flag and the file, and never the contents.
pub(crate) fn from_file(flag: &str, path: &Path) -> Result<SecretString> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| BadSetting::new(flag, format!("{}: {error}", path.display())))?;
    checked(flag, &text)
}

/// Reads the secret in a variable.
///
/// # Errors
/// A [`BadSetting`] that names the flag and the variable.
pub(crate) fn from_variable(flag: &str, name: &str) -> Result<SecretString> {
    let text = env::var(name).map_err(|_| BadSetting::new(flag, format!("{name} is not set")))?;
    checked(flag, &text)
}

/// Checks a secret's text and removes the line end that editors add.
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
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn line_end_is_not_part_of_a_secret() {
        assert_eq!(
            checked("--x", "sk_live_1\r\n").unwrap().expose_secret(),
            "sk_live_1"
        );
    }

    #[test]
    fn invalid_secret_is_refused_and_not_shown() {
        for bad in ["", "\n", "two words", "two\nlines", "caf\u{e9}"] {
            let error = checked("--x", bad).unwrap_err().to_string();
            assert!(error.starts_with("--x: expected"), "{error}");
        }
    }
}
