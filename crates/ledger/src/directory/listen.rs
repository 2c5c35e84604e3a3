//! Keeps a [`Directory`] up to date by LISTEN on a connection of its own (protocol C11).
//!
//! A timer reloads it as well, because a notification may be lost.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::db::connect::Driver;
use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::directory::snapshot::Directory;

/// How long one load, or one other statement of the listener, may take.
const LOAD_DEADLINE: Duration = Duration::from_secs(10);
/// The pause between two tries to reach the database, before jitter.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

statements! {
    /// One statement and so one snapshot of the database. A merchant is never seen without its
    /// secrets.
    ///
    /// Bytes travel as hexadecimal text. Expired path secrets are left out.
    DIRECTORY = "SELECT jsonb_build_object(
        'canary', (SELECT encode(ciphertext, 'hex') FROM credentials_canary WHERE id = 1),
        'merchants', coalesce(jsonb_agg(jsonb_build_object(
            'id', m.id,
            'slug', m.slug,
            'secrets', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'sha256', encode(s.secret_sha256, 'hex'), 'expires_at', s.expires_at) ORDER BY s.id), '[]')
                FROM webhook_secrets s
                WHERE s.merchant_id = m.id AND (s.expires_at IS NULL OR s.expires_at > now())),
            'daraja', (SELECT jsonb_build_object(
                    'short_codes', (SELECT coalesce(jsonb_agg(c.short_code ORDER BY c.short_code), '[]')
                        FROM short_codes c WHERE c.account_id = a.id),
                    'allow_cidrs', to_jsonb(a.allow_cidrs), 'enforce', a.enforce_cidr)
                FROM provider_accounts a WHERE a.merchant_id = m.id AND a.provider = 'daraja'),
            'paystack', (SELECT jsonb_build_object(
                    'keys', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                            'id', k.id, 'ciphertext', encode(k.ciphertext, 'hex'), 'live', k.live)
                            ORDER BY k.id), '[]')
                        FROM provider_keys k WHERE k.account_id = a.id))
                FROM provider_accounts a WHERE a.merchant_id = m.id AND a.provider = 'paystack'),
            'gumroad', (SELECT jsonb_build_object('seller_id', a.seller_id)
                FROM provider_accounts a WHERE a.merchant_id = m.id AND a.provider = 'gumroad')
        ) ORDER BY m.slug), '[]'))
        FROM merchants m";
}

/// The last directory that was loaded, and whether it is known to be up to date.
#[derive(Clone, Debug, Default)]
pub struct DirectoryView {
    /// `None` until the first load.
    pub directory: Option<Arc<Directory>>,
    /// Whether the listener is connected and its last load succeeded. Otherwise a merchant that is
    /// not in the directory may exist all the same (protocol A6).
    pub fresh: bool,
}

impl Ledger {
    /// Loads the directory once, over the pool.
    pub async fn directory(&self) -> Result<Directory, LedgerError> {
        let row = self.connection().await?.query_one(DIRECTORY, &[]).await?;
        read(row.try_get(0)?)
    }
}

/// Keeps a view of the directory up to date until cancelled.
///
/// It never gives up. While the database is away, the last view stays and is marked as not fresh.
pub fn watch_directory(
    ledger: Ledger,
    refresh: Duration,
    cancel: CancellationToken,
) -> watch::Receiver<DirectoryView> {
    let (sender, receiver) = watch::channel(DirectoryView::default());
    tokio::spawn(async move {
        cancel
            .run_until_cancelled(keep_up_to_date(ledger, refresh, sender))
            .await;
    });
    receiver
}

async fn keep_up_to_date(ledger: Ledger, refresh: Duration, sender: watch::Sender<DirectoryView>) {
    loop {
        let error = match listen(&ledger, refresh, &sender).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        if sender.is_closed() {
            return;
        }
        // One warning for each outage, not one for each try.
        if sender.borrow().fresh || sender.borrow().directory.is_none() {
            tracing::warn!(%error, "the merchant directory cannot be refreshed");
        }
        sender.send_if_modified(|view| std::mem::replace(&mut view.fresh, false));
        tokio::time::sleep(RECONNECT_PAUSE.mul_f64(0.5 + rand::random::<f64>())).await;
    }
}

/// Listens and reloads until something fails.
async fn listen(
    ledger: &Ledger,
    refresh: Duration,
    sender: &watch::Sender<DirectoryView>,
) -> Result<std::convert::Infallible, LedgerError> {
    let (client, connection) = ledger.dedicated().await?;
    let changed = Arc::new(Notify::new());
    let _driver = AbortOnDropHandle::new(tokio::spawn(drive(connection, Arc::clone(&changed))));

    if let Some(role) = ledger.role_statement() {
        within_deadline(client.batch_execute(&role)).await?;
    }
    // This comes before the first load, so that no change falls between the two.
    within_deadline(client.batch_execute("LISTEN risiti_directory")).await?;

    loop {
        let directory = Arc::new(load(&client).await?);
        sender.send_if_modified(|view| {
            let new = !view.fresh || view.directory.as_ref() != Some(&directory);
            *view = DirectoryView {
                directory: Some(directory),
                fresh: true,
            };
            new
        });
        // Whether a notification or the timer ends the wait, the next load is the same.
        let _ = tokio::time::timeout(refresh, changed.notified()).await;
    }
}

/// Drives the connection to its end and reports each notification.
async fn drive(mut connection: Driver, changed: Arc<Notify>) {
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(_) = message {
            changed.notify_one();
        }
    }
    // The connection is gone. This ends the wait, and then the next load fails.
    changed.notify_one();
}

async fn load(client: &Client) -> Result<Directory, LedgerError> {
    let row = within_deadline(client.query_one(DIRECTORY.sql, &[])).await?;
    read(row.try_get(0)?)
}

fn read(json: serde_json::Value) -> Result<Directory, LedgerError> {
    serde_json::from_value(json).map_err(|_| LedgerError::Stored {
        table: "merchants",
        column: "directory",
        row: "some merchant".to_owned(),
    })
}

async fn within_deadline<T>(
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, LedgerError> {
    match tokio::time::timeout(LOAD_DEADLINE, work).await {
        Ok(done) => done.map_err(LedgerError::from),
        Err(_) => Err(LedgerError::Deadline(LOAD_DEADLINE)),
    }
}
