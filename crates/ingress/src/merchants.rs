//! The merchant directory as the hot path needs it: in memory, keys decrypted, ranges parsed.
//!
//! It follows the database and never waits for it. A copy on disk, secrets in it hashed or encrypted as in the
//! database, lets ingress start and serve with Postgres away.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use risiti_domain::{MerchantId, Provider};
use risiti_ledger::{Directory, DirectoryView, KeyCheck, Ledger, Vault, watch_directory};
use risiti_service::{BadSetting, Context};
use secrecy::SecretString;
use tokio::sync::watch;

use crate::receive::Address;
use crate::settings::Settings;
use crate::snapshot::Snapshot;

/// Changes are told by NOTIFY; this is for the telling that got lost.
const REFRESH: Duration = Duration::from_secs(15);
const KEY_SETTING: &str = "--credentials-key (RISITI_CREDENTIALS_KEY)";

pub(crate) struct Merchant {
    pub(crate) id: MerchantId,
    pub(crate) slug: String,
    daraja: bool,
    paystack: bool,
    pub(crate) daraja_ranges: Vec<IpNet>,
    pub(crate) daraja_enforced: bool,
    pub(crate) paystack_keys: Vec<SigningKey>,
    /// Some key is stored that our credentials key does not open.
    pub(crate) paystack_keys_unreadable: bool,
    pub(crate) gumroad_seller_id: Option<String>,
}

pub(crate) struct SigningKey {
    pub(crate) secret: SecretString,
    pub(crate) live: Option<bool>,
}

pub(crate) enum Found {
    Merchant(Arc<Merchant>),
    Nobody,
    /// Not in our directory, which may be out of date (protocol A6).
    CannotTell,
}

#[derive(Clone)]
pub(crate) struct Merchants(watch::Receiver<Arc<View>>);

/// One version of the directory.
#[derive(Default)]
struct View {
    directory: Option<Arc<Directory>>,
    merchants: HashMap<MerchantId, Arc<Merchant>>,
    fresh: bool,
    /// The database is under another credentials key by now: this version is the last one we can read.
    outdated_key: bool,
}

impl Merchants {
    /// Starts from the copy on disk and follows the database from here on. The second part ends only when our
    /// credentials key was never the right one (protocol A6); a key that was right and is replaced while we run
    /// costs us the changes from then on, and no webhook.
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
        if stored
            .as_ref()
            .is_some_and(|directory| directory.prove_key(&vault) == KeyCheck::Wrong)
        {
            return Err(wrong_key("the directory's copy on disk").into());
        }
        let proven = stored
            .as_ref()
            .is_some_and(|directory| directory.prove_key(&vault) == KeyCheck::Right);
        let first = stored.map_or_else(View::default, |directory| {
            View::new(Arc::new(directory), false, &vault)
        });
        let (views, receiver) = watch::channel(Arc::new(first));
        let source = watch_directory(ledger, REFRESH, context.shutdown.clone());
        Ok((
            Self(receiver),
            refresh(source, views, vault, snapshot, proven),
        ))
    }

    pub(crate) fn find(&self, address: &Address, provider: Provider) -> Found {
        let view = self.0.borrow();
        let Some(directory) = &view.directory else {
            return Found::CannotTell;
        };
        let merchant = match address {
            Address::Secret(secret) => directory.by_secret(secret),
            Address::Slug(slug) => directory.by_slug(slug),
        };
        match merchant
            .and_then(|merchant| view.merchants.get(&merchant.id))
            .filter(|m| m.takes(provider))
        {
            Some(merchant) => Found::Merchant(Arc::clone(merchant)),
            None if view.fresh => Found::Nobody,
            None => Found::CannotTell,
        }
    }

    /// What keeps the directory from serving as it should.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let view = self.0.borrow();
        match (&view.directory, view.outdated_key) {
            (None, _) => Some("never loaded"),
            (Some(_), true) => Some("the database is under another credentials key by now"),
            (Some(_), false) => None,
        }
    }

    pub(crate) async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

async fn refresh(
    mut source: watch::Receiver<DirectoryView>,
    views: watch::Sender<Arc<View>>,
    vault: Vault,
    snapshot: Snapshot,
    mut proven: bool,
) -> BadSetting {
    while source.changed().await.is_ok() {
        let DirectoryView { directory, fresh } = source.borrow_and_update().clone();
        let Some(directory) = directory else { continue };
        match directory.prove_key(&vault) {
            KeyCheck::Wrong if !proven => return wrong_key("the database"),
            KeyCheck::Wrong => {
                views.send_modify(|view| {
                    if !view.outdated_key {
                        tracing::error!(
                            "the credentials key was replaced: serving the last directory it opens"
                        );
                    }
                    *view = Arc::new(view.with_outdated_key());
                });
                continue;
            }
            KeyCheck::Right => proven = true,
            KeyCheck::NothingSealedYet => {}
        }
        if fresh && let Err(error) = snapshot.store(&directory) {
            tracing::error!(%error, "the merchant directory cannot be kept on disk");
        }
        views.send_replace(Arc::new(View::new(directory, fresh, &vault)));
    }
    // Only the end of the program ends the source.
    std::future::pending().await
}

fn wrong_key(place: &str) -> BadSetting {
    BadSetting::new(
        KEY_SETTING,
        format!("is not the key that {place} is encrypted under"),
    )
}

impl View {
    fn new(directory: Arc<Directory>, fresh: bool, vault: &Vault) -> Self {
        let working =
            |stored: &risiti_ledger::Merchant| (stored.id, Arc::new(Merchant::new(stored, vault)));
        let merchants = directory.merchants().iter().map(working).collect();
        Self {
            directory: Some(directory),
            merchants,
            fresh,
            outdated_key: false,
        }
    }

    fn with_outdated_key(&self) -> Self {
        let (directory, merchants) = (self.directory.clone(), self.merchants.clone());
        Self {
            directory,
            merchants,
            fresh: false,
            outdated_key: true,
        }
    }
}

impl Merchant {
    fn new(stored: &risiti_ledger::Merchant, vault: &Vault) -> Self {
        let mut merchant = Self {
            id: stored.id,
            slug: stored.slug.clone(),
            daraja: stored.daraja.is_some(),
            paystack: stored.paystack.is_some(),
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
                .filter_map(|range| range.parse().ok())
                .collect();
        }
        for key in stored.paystack.iter().flat_map(|account| &account.keys) {
            match key.open(vault) {
                Ok(secret) => merchant.paystack_keys.push(SigningKey {
                    secret,
                    live: key.live,
                }),
                Err(error) => {
                    tracing::error!(key_id = %key.id, merchant = %stored.slug, %error, "a signing key cannot be read");
                    merchant.paystack_keys_unreadable = true;
                }
            }
        }
        merchant
    }

    fn takes(&self, provider: Provider) -> bool {
        match provider {
            Provider::Daraja => self.daraja,
            Provider::Paystack => self.paystack,
            Provider::Gumroad => self.gumroad_seller_id.is_some(),
        }
    }
}
