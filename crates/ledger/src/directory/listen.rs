//! Keeps a [`Directory`] up to date by LISTEN on a connection of its own (protocol C11).
//!
//! A timer reloads it as well, because a notification may be lost.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio_postgres::{AsyncMessage, Client};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::db::connect::Driver;
use crate::db::error::LedgerError;
use crate::db::pool::Ledger;
use crate::db::statements::statements;
use crate::directory::freshness::{Changes, Freshness};
use crate::directory::snapshot::Directory;

/// How long one load, or one other statement of the listener, may take.
const LOAD_DEADLINE: Duration = Duration::from_secs(10);
/// How often the server is asked whether it is still there. Together with the time for an answer it
/// stays well below the time for which a directory counts as fresh.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a probe may take before the connection is given up.
const PROBE_DEADLINE: Duration = Duration::from_secs(5);
/// The pause between two tries to reach the database, before jitter.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

statements! {
    /// One statement and so one snapshot of the database. A merchant is never seen without its
    /// secrets.
    ///
    /// Bytes travel as hexadecimal text. Expired path secrets go along, so that a webhook to one can
    /// be told from a stranger's request.
    DIRECTORY = "SELECT jsonb_build_object(
        'canary', (SELECT encode(ciphertext, 'hex') FROM credentials_canary WHERE id = 1),
        'merchants', coalesce(jsonb_agg(jsonb_build_object(
            'id', m.id,
            'slug', m.slug,
            'secrets', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'id', s.id, 'sha256', encode(s.secret_sha256, 'hex'), 'expires_at', s.expires_at) ORDER BY s.id), '[]')
                FROM webhook_secrets s WHERE s.merchant_id = m.id),
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

/// The last directory that was loaded.
#[derive(Clone, Debug, Default)]
pub struct DirectoryView {
    /// `None` until the first load.
    pub directory: Option<Arc<Directory>>,
    /// Whether a transaction pooler stands in front of the database. No directory is loaded then.
    pub is_behind_pooler: bool,
    freshness: Arc<Freshness>,
}

impl DirectoryView {
    /// A view of a copy that was kept, which is not fresh.
    pub fn of_copy(copy: Option<Directory>) -> Self {
        Self {
            directory: copy.map(Arc::new),
            is_behind_pooler: false,
            freshness: Arc::default(),
        }
    }

    /// Whether this directory is known to be what the database has now: it was read after the last
    /// change that was announced, and the server answered within the last seconds.
    ///
    /// Otherwise a merchant that is not in it may exist all the same, and one that is in it may have
    /// other keys (protocol A6).
    pub fn is_fresh(&self) -> bool {
        self.freshness.is_fresh()
    }
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
/// It never gives up. While the database is away, the last view stays and is not fresh. The
/// receiver learns of each other directory, and not of freshness, which changes with time.
pub fn watch_directory(
    ledger: Ledger,
    refresh: Duration,
    cancel: CancellationToken,
) -> watch::Receiver<DirectoryView> {
    let (sender, receiver) = watch::channel(DirectoryView::default());
    let watcher = Watcher {
        ledger,
        refresh,
        changes: Changes::default(),
        sender,
        outage_is_logged: false,
    };
    tokio::spawn(async move {
        cancel.run_until_cancelled(watcher.keep_up_to_date()).await;
    });
    receiver
}

struct Watcher {
    ledger: Ledger,
    /// How often the directory is loaded even without a notification.
    refresh: Duration,
    changes: Changes,
    sender: watch::Sender<DirectoryView>,
    /// One warning for each outage, not one for each try.
    outage_is_logged: bool,
}

impl Watcher {
    async fn keep_up_to_date(mut self) {
        while !self.sender.is_closed() {
            let error = match self.listen().await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            if matches!(error, LedgerError::TransactionPooler) {
                self.sender
                    .send_if_modified(|view| !std::mem::replace(&mut view.is_behind_pooler, true));
            }
            // What changes before the next connection listens is not announced.
            self.changes.announce();
            if !std::mem::replace(&mut self.outage_is_logged, true) {
                tracing::warn!(%error, "the merchant directory cannot be refreshed");
            }
            tokio::time::sleep(RECONNECT_PAUSE.mul_f64(0.5 + rand::random::<f64>())).await;
        }
    }

    /// Listens and reloads until something fails.
    async fn listen(&mut self) -> Result<Infallible, LedgerError> {
        let (client, connection) = self.ledger.dedicated().await?;
        let changed = Arc::new(Notify::new());
        let driving = drive(connection, self.changes.clone(), Arc::clone(&changed));
        let _driver = AbortOnDropHandle::new(tokio::spawn(driving));

        // Behind such a pooler no notification would arrive.
        self.ledger.check_session(&client).await?;
        if let Some(role) = self.ledger.role_statement() {
            within(LOAD_DEADLINE, client.batch_execute(&role)).await?;
        }
        // This comes before the first load, so that no change falls between the two.
        within(
            LOAD_DEADLINE,
            client.batch_execute("LISTEN risiti_directory"),
        )
        .await?;

        loop {
            let changes = self.changes.count();
            let asked_at = Instant::now();
            let directory = load(&client).await?;
            self.show(directory, changes, asked_at);
            self.outage_is_logged = false;
            self.wait_for_reload(&client, &changed, changes).await?;
        }
    }

    /// Shows a directory that was read after so many changes.
    fn show(&self, directory: Directory, changes: u64, asked_at: Instant) {
        let shown = self.sender.borrow().clone();
        if shown.directory.as_deref() == Some(&directory) {
            shown.freshness.confirm(changes, asked_at);
            return;
        }

        let freshness = Freshness::new(self.changes.clone());
        freshness.confirm(changes, asked_at);
        shown.freshness.revoke();
        self.sender.send_replace(DirectoryView {
            directory: Some(Arc::new(directory)),
            is_behind_pooler: false,
            freshness: Arc::new(freshness),
        });
    }

    /// Waits for a notification or the timer. Until then, each answer of the server shows that no
    /// notification was lost with the connection.
    async fn wait_for_reload(
        &self,
        client: &Client,
        changed: &Notify,
        changes: u64,
    ) -> Result<(), LedgerError> {
        let reload_at = tokio::time::Instant::now() + self.refresh;
        loop {
            tokio::select! {
                () = changed.notified() => return Ok(()),
                () = tokio::time::sleep_until(reload_at) => return Ok(()),
                () = tokio::time::sleep(PROBE_INTERVAL) => {}
            }
            let asked_at = Instant::now();
            within(PROBE_DEADLINE, client.batch_execute("")).await?;
            self.sender.borrow().freshness.confirm(changes, asked_at);
        }
    }
}

/// Drives the connection to its end and reports each notification.
async fn drive(mut connection: Driver, changes: Changes, changed: Arc<Notify>) {
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(_) = message {
            changes.announce();
            changed.notify_one();
        }
    }
    // The connection is gone, and whatever changes from now on is not announced. This also ends the
    // wait, and then the next load fails.
    changes.announce();
    changed.notify_one();
}

async fn load(client: &Client) -> Result<Directory, LedgerError> {
    let row = within(LOAD_DEADLINE, client.query_one(DIRECTORY.sql, &[])).await?;
    read(row.try_get(0)?)
}

fn read(json: serde_json::Value) -> Result<Directory, LedgerError> {
    serde_json::from_value(json).map_err(|_| LedgerError::Stored {
        table: "merchants",
        column: "directory",
        row: "some merchant".to_owned(),
    })
}

async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, LedgerError> {
    match tokio::time::timeout(deadline, work).await {
        Ok(done) => done.map_err(LedgerError::from),
        Err(_) => Err(LedgerError::Deadline(deadline)),
    }
}
