//! Secrets at rest, sealed with XChaCha20-Poly1305 under a key from the environment.
//!
//! A ciphertext is bound to the place it is stored at. Moved to another row or column, it no longer
//! opens.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

/// The first byte of every ciphertext. Another layout or cipher would take another value.
const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 24;
/// From it and a credentials key the key of fingerprints is derived, so that neither says anything
/// of the other.
const FINGERPRINT_CONTEXT: &[u8] = b"risiti fingerprint key 1";

/// The credentials key, and optionally the one before it, which opens secrets but seals none.
#[derive(Clone)]
pub struct Vault {
    current: Key,
    old: Option<Key>,
}

/// One credentials key, and what is derived from it.
#[derive(Clone)]
struct Key {
    cipher: XChaCha20Poly1305,
    fingerprints: Hmac<Sha256>,
}

/// A digest of a secret that only holders of the credentials key can make. Equal secrets have equal
/// fingerprints, wherever they are stored.
pub(crate) type Fingerprint = [u8; 32];

/// Where a secret is stored. The place is authenticated together with the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The column, as `table.column`.
    pub column: &'static str,
    pub row: Uuid,
}

/// Why a secret could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("the key is not 32 bytes in base64")]
    Key,
    #[error("the secret in {0} cannot be opened with this credentials key")]
    Sealed(&'static str),
    #[error("the operating system gave no random numbers")]
    Random,
}

impl Place {
    /// The place of a provider's signing key.
    pub(crate) fn provider_key(id: Uuid) -> Self {
        Self {
            column: "provider_keys.ciphertext",
            row: id,
        }
    }

    /// The place of a device's OAuth consumer secret.
    pub(crate) fn consumer_secret(device: Uuid) -> Self {
        Self {
            column: "devices.consumer_secret_ciphertext",
            row: device,
        }
    }

    /// The place of a device's communication key.
    pub(crate) fn cmc_key(device: Uuid) -> Self {
        Self {
            column: "devices.cmc_key_ciphertext",
            row: device,
        }
    }

    /// The bytes that are authenticated. A column's name never holds a NUL, so no two places give
    /// the same bytes.
    fn bytes(self) -> Vec<u8> {
        [self.column.as_bytes(), &[0], self.row.as_bytes()].concat()
    }
}

impl Vault {
    /// Takes the current key and the old one, each 32 bytes in base64.
    pub fn new(key: &SecretString, old: Option<&SecretString>) -> Result<Self, VaultError> {
        Ok(Self {
            current: Key::new(key)?,
            old: old.map(Key::new).transpose()?,
        })
    }

    /// The fingerprint to store of a secret.
    pub(crate) fn fingerprint(&self, secret: &SecretString) -> Fingerprint {
        self.current.fingerprint(secret)
    }

    /// The fingerprints under which a secret may be stored, while secrets move to a new key.
    pub(crate) fn known_fingerprints(&self, secret: &SecretString) -> Vec<Vec<u8>> {
        std::iter::once(&self.current)
            .chain(&self.old)
            .map(|key| key.fingerprint(secret).to_vec())
            .collect()
    }

    /// Encrypts a secret for its place.
    pub fn seal(&self, place: Place, secret: &SecretString) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        OsRng
            .try_fill_bytes(&mut nonce)
            .map_err(|_| VaultError::Random)?;
        let payload = Payload {
            msg: secret.expose_secret().as_bytes(),
            aad: &place.bytes(),
        };
        let sealed = self
            .current
            .cipher
            .encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| VaultError::Sealed(place.column))?;
        Ok([&[FORMAT], &nonce[..], &sealed[..]].concat())
    }

    /// Decrypts a secret from its place. Tries the current key, then the old one.
    pub fn open(&self, place: Place, ciphertext: &[u8]) -> Result<SecretString, VaultError> {
        std::iter::once(&self.current)
            .chain(&self.old)
            .find_map(|key| open(&key.cipher, place, ciphertext))
            .ok_or(VaultError::Sealed(place.column))
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault")
            .field("old", &self.old.is_some())
            .finish_non_exhaustive()
    }
}

impl Key {
    fn new(key: &SecretString) -> Result<Self, VaultError> {
        let bytes = BASE64_STANDARD
            .decode(key.expose_secret().trim())
            .map_err(|_| VaultError::Key)?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| VaultError::Key)?;
        let derived = hmac(&bytes)?.chain_update(FINGERPRINT_CONTEXT).finalize();
        Ok(Self {
            cipher,
            fingerprints: hmac(&derived.into_bytes())?,
        })
    }

    fn fingerprint(&self, secret: &SecretString) -> Fingerprint {
        let hmac = self.fingerprints.clone();
        hmac.chain_update(secret.expose_secret())
            .finalize()
            .into_bytes()
            .into()
    }
}

fn hmac(key: &[u8]) -> Result<Hmac<Sha256>, VaultError> {
    <Hmac<Sha256> as hmac::Mac>::new_from_slice(key).map_err(|_| VaultError::Key)
}

fn open(key: &XChaCha20Poly1305, place: Place, ciphertext: &[u8]) -> Option<SecretString> {
    let (format, rest) = ciphertext.split_first()?;
    if *format != FORMAT || rest.len() < NONCE_BYTES {
        return None;
    }
    let (nonce, sealed) = rest.split_at(NONCE_BYTES);
    let payload = Payload {
        msg: sealed,
        aad: &place.bytes(),
    };
    let plain = key.decrypt(XNonce::from_slice(nonce), payload).ok()?;
    String::from_utf8(plain).ok().map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HERE: Place = Place {
        column: "provider_keys.ciphertext",
        row: Uuid::from_u128(1),
    };

    fn key(byte: u8) -> SecretString {
        BASE64_STANDARD.encode([byte; 32]).into()
    }

    fn vault(byte: u8) -> Vault {
        Vault::new(&key(byte), None).unwrap()
    }

    #[test]
    fn sealed_secret_opens_with_the_same_key_only() {
        let sealed = vault(1).seal(HERE, &"sk_live_1".into()).unwrap();
        assert_eq!(
            vault(1).open(HERE, &sealed).unwrap().expose_secret(),
            "sk_live_1"
        );
        assert_eq!(
            vault(2).open(HERE, &sealed).unwrap_err(),
            VaultError::Sealed(HERE.column)
        );
    }

    #[test]
    fn the_old_key_opens_and_never_seals() {
        let sealed = vault(1).seal(HERE, &"s".into()).unwrap();
        let rotating = Vault::new(&key(2), Some(&key(1))).unwrap();
        assert!(rotating.open(HERE, &sealed).is_ok());
        let again = rotating.seal(HERE, &"s".into()).unwrap();
        assert!(vault(2).open(HERE, &again).is_ok());
        assert!(vault(1).open(HERE, &again).is_err());
    }

    #[test]
    fn a_ciphertext_moved_elsewhere_does_not_open() {
        let sealed = vault(1).seal(HERE, &"s".into()).unwrap();
        for place in [
            Place {
                row: Uuid::from_u128(2),
                ..HERE
            },
            Place {
                column: "devices.cmc_key_ciphertext",
                ..HERE
            },
        ] {
            assert!(vault(1).open(place, &sealed).is_err());
        }
    }

    #[test]
    fn sealing_twice_gives_different_bytes() {
        let vault = vault(1);
        assert_ne!(
            vault.seal(HERE, &"s".into()).unwrap(),
            vault.seal(HERE, &"s".into()).unwrap()
        );
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        for bad in ["", "c2hvcnQ=", "not base64"] {
            assert_eq!(Vault::new(&bad.into(), None).unwrap_err(), VaultError::Key);
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", vault(1)), "Vault { old: false, .. }");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_and_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(vault(1).open(HERE, &bytes).is_err());
        }

        #[test]
        fn one_flipped_bit_is_noticed(at in 0usize..(1 + NONCE_BYTES + 16 + 6), bit in 0u8..8) {
            let mut sealed = vault(1).seal(HERE, &"secret".into()).unwrap();
            sealed[at] ^= 1 << bit;
            prop_assert!(vault(1).open(HERE, &sealed).is_err());
        }
    }
}
