//! What ingress has to know of merchants, as one snapshot.
//!
//! It is small enough to keep in memory and on disk. It holds secrets only as the database does,
//! hashed or encrypted (architecture §9.6).

use std::collections::HashMap;

use jiff::Timestamp;
use risiti_domain::{CredentialId, MerchantId};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::db::credentials::{KeyCheck, check_canary};
use crate::db::vault::{Place, Vault, VaultError};

/// All merchants, found by path secret or slug. It is serialised as the plain list and the canary.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Snapshot", into = "Snapshot")]
pub struct Directory {
    snapshot: Snapshot,
    by_secret: HashMap<[u8; 32], (usize, Option<Timestamp>, Option<CredentialId>)>,
    by_slug: HashMap<String, usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Snapshot {
    canary: Option<Bytes>,
    merchants: Vec<Merchant>,
}

/// A merchant as ingress needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    pub id: MerchantId,
    pub slug: String,
    secrets: Vec<PathSecret>,
    pub daraja: Option<DarajaAccount>,
    pub paystack: Option<PaystackAccount>,
    pub gumroad: Option<GumroadAccount>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PathSecret {
    /// A copy of an earlier release has none.
    #[serde(default)]
    id: Option<CredentialId>,
    #[serde(with = "hex::serde")]
    sha256: [u8; 32],
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DarajaAccount {
    pub short_codes: Vec<String>,
    /// CIDR ranges as Postgres keeps them. `risiti-admin` lets only well-formed ones in.
    pub allow_cidrs: Vec<String>,
    /// Whether a source outside the ranges is refused, instead of only noted.
    pub enforce: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaystackAccount {
    pub keys: Vec<PaystackKey>,
}

/// A signing key, still encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaystackKey {
    pub id: Uuid,
    pub ciphertext: Bytes,
    /// Whether the key is a live key. `None` when its prefix said neither live nor test.
    pub live: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GumroadAccount {
    pub seller_id: String,
}

/// Bytes that are serialised as hexadecimal text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(#[serde(with = "hex::serde")] pub Vec<u8>);

/// A path secret that a merchant has or had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSecret<'a> {
    pub id: Option<CredentialId>,
    pub merchant: &'a Merchant,
    pub expiry: Expiry,
}

/// Whether and when a path secret ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It is the current one.
    None,
    /// It was replaced and works until then.
    Ending(Timestamp),
    Expired(Timestamp),
}

impl Directory {
    pub fn merchants(&self) -> &[Merchant] {
        &self.snapshot.merchants
    }

    /// The merchant to whom a path secret belongs now. An expired secret belongs to nobody.
    pub fn by_secret(&self, secret: &str) -> Option<&Merchant> {
        self.by_secret_at(secret, Timestamp::now())
    }

    /// The merchant to whom a path secret belongs at the given time.
    pub fn by_secret_at(&self, secret: &str, now: Timestamp) -> Option<&Merchant> {
        match self.known_secret(secret, now)? {
            KnownSecret {
                expiry: Expiry::Expired(_),
                ..
            } => None,
            known => Some(known.merchant),
        }
    }

    /// What is known of a path secret at the given time, expired ones included.
    pub fn known_secret(&self, secret: &str, now: Timestamp) -> Option<KnownSecret<'_>> {
        let (index, expires_at, id) = self.by_secret.get(&hash_path_secret(secret))?;
        Some(KnownSecret {
            id: *id,
            merchant: self.snapshot.merchants.get(*index)?,
            expiry: match expires_at {
                None => Expiry::None,
                Some(at) if *at <= now => Expiry::Expired(*at),
                Some(at) => Expiry::Ending(*at),
            },
        })
    }

    /// The merchant of that slug.
    pub fn by_slug(&self, slug: &str) -> Option<&Merchant> {
        self.snapshot.merchants.get(*self.by_slug.get(slug)?)
    }

    /// Whether the vault holds the key that this directory's secrets are encrypted under (protocol
    /// A6).
    pub fn prove_key(&self, vault: &Vault) -> KeyCheck {
        check_canary(
            vault,
            self.snapshot
                .canary
                .as_ref()
                .map(|bytes| bytes.0.as_slice()),
        )
    }
}

impl PaystackKey {
    /// Decrypts the key.
    pub fn open(&self, vault: &Vault) -> Result<SecretString, VaultError> {
        vault.open(Place::provider_key(self.id), &self.ciphertext.0)
    }
}

/// The hash that is stored of a path secret. A secret is 160 random bits, so a plain hash gives
/// nothing away.
pub fn hash_path_secret(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl From<Snapshot> for Directory {
    fn from(snapshot: Snapshot) -> Self {
        let mut by_secret = HashMap::new();
        let mut by_slug = HashMap::new();
        for (index, merchant) in snapshot.merchants.iter().enumerate() {
            by_slug.insert(merchant.slug.clone(), index);
            for secret in &merchant.secrets {
                by_secret.insert(secret.sha256, (index, secret.expires_at, secret.id));
            }
        }
        Self {
            snapshot,
            by_secret,
            by_slug,
        }
    }
}

impl From<Directory> for Snapshot {
    fn from(directory: Directory) -> Self {
        directory.snapshot
    }
}

impl PartialEq for Directory {
    fn eq(&self, other: &Self) -> bool {
        self.snapshot == other.snapshot
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn directory(expires_at: Option<&str>) -> Directory {
        let secret = PathSecret {
            id: Some(CredentialId::from_uuid(Uuid::from_u128(6))),
            sha256: hash_path_secret(SECRET),
            expires_at: expires_at.map(|text| text.parse().unwrap()),
        };
        let merchant = Merchant {
            id: MerchantId::from_uuid(Uuid::from_u128(7)),
            slug: "acme".to_owned(),
            secrets: vec![secret],
            daraja: None,
            paystack: Some(PaystackAccount {
                keys: vec![PaystackKey {
                    id: Uuid::from_u128(8),
                    ciphertext: Bytes(vec![1, 2]),
                    live: Some(true),
                }],
            }),
            gumroad: None,
        };
        Snapshot {
            canary: None,
            merchants: vec![merchant],
        }
        .into()
    }

    #[test]
    fn a_merchant_is_found_by_secret_and_by_slug() {
        let directory = directory(None);
        assert_eq!(directory.by_secret(SECRET).unwrap().slug, "acme");
        assert!(
            directory
                .by_secret("0123456789abcdef0123456789abcdee")
                .is_none()
        );
        assert!(directory.by_slug("acme").is_some());
        assert!(directory.by_slug("Acme").is_none());
    }

    #[test]
    fn a_replaced_secret_works_until_its_overlap_ends() {
        let directory = directory(Some("2026-01-02T00:00:00Z"));
        assert!(
            directory
                .by_secret_at(SECRET, "2026-01-01T23:59:59Z".parse().unwrap())
                .is_some()
        );
        assert!(
            directory
                .by_secret_at(SECRET, "2026-01-02T00:00:00Z".parse().unwrap())
                .is_none()
        );
    }

    #[test]
    fn expired_secret_is_still_known_as_its_merchants() {
        let end: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let directory = directory(Some("2026-01-02T00:00:00Z"));
        let at = |time: &str| directory.known_secret(SECRET, time.parse().unwrap());
        let before = at("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(before.expiry, Expiry::Ending(end));
        assert_eq!(before.id.map(CredentialId::uuid), Some(Uuid::from_u128(6)));
        let after = at("2026-01-03T00:00:00Z").unwrap();
        assert_eq!(
            (after.merchant.slug.as_str(), after.expiry),
            ("acme", Expiry::Expired(end))
        );
        assert!(directory.known_secret("another", end).is_none());
    }

    #[test]
    fn serialised_copy_reads_back_and_holds_no_path_secret() {
        let directory = directory(Some("2026-01-02T00:00:00Z"));
        let text = serde_json::to_string(&directory).unwrap();
        assert!(!text.contains(SECRET));
        let back: Directory = serde_json::from_str(&text).unwrap();
        assert_eq!(back, directory);
        assert!(back.by_slug("acme").is_some());
    }

    #[test]
    fn without_a_canary_no_key_is_proven() {
        let vault =
            Vault::new(&"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".into(), None).unwrap();
        assert_eq!(
            directory(None).prove_key(&vault),
            KeyCheck::NothingSealedYet
        );
    }
}
