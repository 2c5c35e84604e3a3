//! The directory of merchants, as receiving a webhook needs it: in memory, with keys decrypted and
//! ranges parsed.
//!
//! It follows the database and never waits for it. A copy on disk lets ingress start and serve
//! while Postgres is away. Secrets in the copy are hashed or encrypted, as in the database.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use risiti_domain::{CredentialId, MerchantId, Provider};
use risiti_ledger::{DirectoryView, Expiry, KeyCheck, Ledger, LedgerError, Vault, watch_directory};
use risiti_service::{BadSetting, Context, DatabaseArgs, canonical_range};
use secrecy::SecretString;
use tokio::sync::watch;

use crate::answer::Answer;
use crate::settings::Settings;
use crate::snapshot::{Snapshot, SnapshotWriter};

/// How often the directory is read again. NOTIFY announces changes, but a notification may be lost.
const REFRESH_INTERVAL: Duration = Duration::from_secs(15);
const KEY_SETTING: &str = "--credentials-key (RISITI_CREDENTIALS_KEY)";

/// How a request says which merchant it is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Secret(String),
    Slug(String),
}

pub(crate) struct Merchant {
    pub(crate) id: MerchantId,
    pub(crate) slug: String,
    has_daraja: bool,
    has_paystack: bool,
    pub(crate) daraja_ranges: Vec<IpNet>,
    pub(crate) daraja_enforced: bool,
    pub(crate) paystack_keys: Vec<SigningKey>,
    /// Whether a key is stored that our credentials key does not decrypt.
    pub(crate) paystack_keys_unreadable: bool,
    pub(crate) gumroad_seller_id: Option<String>,
}

pub(crate) struct SigningKey {
    pub(crate) id: CredentialId,
    pub(crate) secret: SecretString,
    pub(crate) live: Option<bool>,
}

pub(crate) enum MerchantLookup {
    Found {
        merchant: Arc<Merchant>,
        directory: DirectoryVersion,
        /// Whether the path secret was replaced and works for a while.
        by_ending_secret: bool,
        /// The path secret that named the merchant.
        path_secret: Option<CredentialId>,
    },
    NotFound,
    /// The merchant is not in our directory, but the directory is missing or may be out of date
    /// (protocol A6).
    DirectoryUnavailable,
}

/// The version of the directory that a merchant was found in.
pub(crate) struct DirectoryVersion(Arc<LoadedDirectory>);

impl DirectoryVersion {
    /// The answer to a webhook that this version gives no reason to take. A key or a source range
    /// may have been added since, so only a fresh version refuses (protocol A6).
    pub(crate) fn refusal(&self, refusal: Answer) -> Answer {
        if self.0.is_fresh() {
            refusal
        } else {
            Answer::Unavailable("the merchant directory may be out of date")
        }
    }
}

#[derive(Clone)]
pub(crate) struct Merchants(watch::Receiver<Arc<LoadedDirectory>>);

/// One version of the directory.
#[derive(Default)]
struct LoadedDirectory {
    view: DirectoryView,
    merchants: HashMap<MerchantId, Arc<Merchant>>,
    /// Whether the database is now encrypted under another credentials key. This version is then
    /// the last one that we can read.
    key_replaced: bool,
}

impl Merchants {
    /// Starts from the copy on disk and follows the database from then on.
    ///
    /// The returned future ends only when a setting does not fit the database: our credentials key
    /// was never the right one (protocol A6), or a transaction pooler stands in front. A key that
    /// was right and is replaced while ingress runs costs it the changes from then on, but no
    /// webhook.
    pub(crate) fn follow(
        settings: &Settings,
        ledger: Ledger,
        context: &Context,
    ) -> anyhow::Result<(Self, impl Future<Output = BadSetting> + Send + 'static)> {
        let keys = &settings.credentials;
        let vault = Vault::new(&keys.credentials_key, keys.credentials_key_old.as_ref())
            .map_err(|error| BadSetting::new(KEY_SETTING, error.to_string()))?;

        let snapshot = Snapshot::open(&settings.data_dir)?;
        let stored = snapshot.load();
        let key_check = stored.as_ref().map(|directory| directory.prove_key(&vault));
        if key_check == Some(KeyCheck::Wrong) {
            return Err(wrong_key("the directory's copy on disk").into());
        }
        let key_proven = key_check == Some(KeyCheck::Right);

        let first = LoadedDirectory::new(DirectoryView::of_copy(stored), &vault);
        let (loaded, receiver) = watch::channel(Arc::new(first));
        let source = watch_directory(ledger, REFRESH_INTERVAL, context.shutdown.clone());
        let writer = SnapshotWriter::start(snapshot);
        let wrong_key = refresh(source, loaded, vault, writer, key_proven);
        Ok((Self(receiver), wrong_key))
    }

    /// Finds the merchant of an address that has an account of this provider.
    pub(crate) fn find(&self, address: &Address, provider: Provider) -> MerchantLookup {
        let loaded = Arc::clone(&self.0.borrow());
        let Some(directory) = &loaded.view.directory else {
            return MerchantLookup::DirectoryUnavailable;
        };

        let mut ending = false;
        let mut path_secret = None;
        let stored = match address {
            Address::Secret(secret) => {
                let known = directory.known_secret(secret, Timestamp::now());
                let valid = known.filter(|known| !matches!(known.expiry, Expiry::Expired(_)));
                ending = valid.is_some_and(|known| known.expiry != Expiry::None);
                path_secret = valid.and_then(|known| known.id);
                valid.map(|known| known.merchant)
            }
            Address::Slug(slug) => directory.by_slug(slug),
        };
        let merchant = stored
            .and_then(|stored| loaded.merchants.get(&stored.id))
            .filter(|merchant| merchant.accepts(provider))
            .map(Arc::clone);
        match merchant {
            Some(merchant) => MerchantLookup::Found {
                merchant,
                directory: DirectoryVersion(loaded),
                by_ending_secret: ending,
                path_secret,
            },
            None if loaded.is_fresh() => MerchantLookup::NotFound,
            None => MerchantLookup::DirectoryUnavailable,
        }
    }

    /// The slug of the merchant with this path secret, whatever accounts it has.
    pub(crate) fn slug_of_secret(&self, secret: &str) -> Option<String> {
        let loaded = self.0.borrow();
        let directory = loaded.view.directory.as_ref()?;
        directory
            .by_secret(secret)
            .map(|merchant| merchant.slug.clone())
    }

    /// The slug of the merchant whose path secret this was, and when it ended.
    pub(crate) fn slug_of_expired_secret(&self, secret: &str) -> Option<(String, Timestamp)> {
        let loaded = self.0.borrow();
        let directory = loaded.view.directory.as_ref()?;
        let known = directory.known_secret(secret, Timestamp::now())?;
        match known.expiry {
            Expiry::Expired(at) => Some((known.merchant.slug.clone(), at)),
            Expiry::None | Expiry::Ending(_) => None,
        }
    }

    /// What keeps the directory from serving as it should.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let loaded = self.0.borrow();
        match (&loaded.view.directory, loaded.key_replaced) {
            (None, _) => Some("never loaded"),
            (Some(_), true) => Some("the database is now encrypted under another credentials key"),
            (Some(_), false) => None,
        }
    }

    /// Waits for another version. Fails when the directory is no longer followed.
    pub(crate) async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.0.changed().await
    }
}

/// Takes up each version that the database gives. Ends only when a setting does not fit the
/// database.
async fn refresh(
    mut source: watch::Receiver<DirectoryView>,
    loaded: watch::Sender<Arc<LoadedDirectory>>,
    vault: Vault,
    writer: SnapshotWriter,
    mut key_proven: bool,
) -> BadSetting {
    while source.changed().await.is_ok() {
        let view = source.borrow_and_update().clone();
        if view.is_behind_pooler {
            return DatabaseArgs::bad_url(LedgerError::TransactionPooler);
        }
        let Some(directory) = view.directory.clone() else {
            continue;
        };

        match directory.prove_key(&vault) {
            KeyCheck::Wrong if !key_proven => return wrong_key("the database"),
            KeyCheck::Wrong => {
                loaded.send_modify(keep_last_readable);
                continue;
            }
            KeyCheck::Right => key_proven = true,
            KeyCheck::NothingSealedYet => {}
        }

        // A disk that hangs must not keep a new merchant waiting, so nothing waits for the copy.
        loaded.send_replace(Arc::new(LoadedDirectory::new(view, &vault)));
        writer.store(directory);
    }

    // The source ends only with the program.
    std::future::pending().await
}

fn keep_last_readable(loaded: &mut Arc<LoadedDirectory>) {
    if !loaded.key_replaced {
        tracing::error!(
            "the credentials key was replaced; serving the last directory that this key decrypts"
        );
    }
    *loaded = Arc::new(loaded.with_key_replaced());
}

fn wrong_key(place: &str) -> BadSetting {
    BadSetting::new(
        KEY_SETTING,
        format!("is not the key that {place} is encrypted under"),
    )
}

impl LoadedDirectory {
    fn new(view: DirectoryView, vault: &Vault) -> Self {
        let stored = view.directory.iter().flat_map(|all| all.merchants());
        let merchants = stored
            .map(|stored| (stored.id, Arc::new(Merchant::new(stored, vault))))
            .collect();

        Self {
            view,
            merchants,
            key_replaced: false,
        }
    }

    fn is_fresh(&self) -> bool {
        !self.key_replaced && self.view.is_fresh()
    }

    fn with_key_replaced(&self) -> Self {
        Self {
            view: self.view.clone(),
            merchants: self.merchants.clone(),
            key_replaced: true,
        }
    }
}

impl Merchant {
    fn new(stored: &risiti_ledger::Merchant, vault: &Vault) -> Self {
        let mut merchant = Self {
            id: stored.id,
            slug: stored.slug.clone(),
            has_daraja: stored.daraja.is_some(),
            has_paystack: stored.paystack.is_some(),
            daraja_ranges: Vec::new(),
            daraja_enforced: false,
            paystack_keys: Vec::new(),
            paystack_keys_unreadable: false,
            gumroad_seller_id: stored
                .gumroad
                .as_ref()
                .map(|account| account.seller_id.clone()),
        };

        if let Some(account) = &stored.daraja {
            merchant.daraja_enforced = account.enforce;
            merchant.daraja_ranges = account
                .allow_cidrs
                .iter()
                .filter_map(|range| canonical_range(range.parse().ok()?))
                .collect();
        }

        for key in stored.paystack.iter().flat_map(|account| &account.keys) {
            match key.open(vault) {
                Ok(secret) => merchant.paystack_keys.push(SigningKey {
                    id: CredentialId::from_uuid(key.id),
                    secret,
                    live: key.live,
                }),
                Err(error) => {
                    tracing::error!(key_id = %key.id, merchant = %stored.slug, %error, "failed to decrypt a signing key");
                    merchant.paystack_keys_unreadable = true;
                }
            }
        }
        merchant
    }

    fn accepts(&self, provider: Provider) -> bool {
        match provider {
            Provider::Daraja => self.has_daraja,
            Provider::Paystack => self.has_paystack,
            Provider::Gumroad => self.gumroad_seller_id.is_some(),
        }
    }
}
