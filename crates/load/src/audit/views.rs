//! The reporting views, read as any report would read them.

use std::collections::HashMap;

use anyhow::Context as _;
use jiff::Timestamp;
use rust_decimal::Decimal;
use tokio_postgres::{Client, NoTls, Row};

use crate::message::Provider;

pub(crate) struct Views {
    /// By merchant, provider and delivery key; more than one would be a breach.
    pub(crate) events: HashMap<(String, Provider, String), Vec<Event>>,
    pub(crate) payments: Vec<Payment>,
    /// By payment.
    pub(crate) invoices: HashMap<String, Vec<Invoice>>,
    pub(crate) moves: Moves,
    pub(crate) histories: Vec<History>,
}

/// The state of a payment or an invoice, and every move that is written down of it.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) id: String,
    pub(crate) state: String,
    /// In the order of their times.
    pub(crate) moves: Vec<Move>,
}

#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) at: Timestamp,
    /// None: it was made.
    pub(crate) from: Option<String>,
    pub(crate) to: String,
}

pub(crate) struct Event {
    pub(crate) event_id: String,
    pub(crate) kind: String,
    pub(crate) duplicates: i64,
    pub(crate) conflict: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) payment_id: String,
    pub(crate) merchant: String,
    pub(crate) provider: Provider,
    pub(crate) money_key: Option<String>,
    pub(crate) checkout_id: Option<String>,
    pub(crate) receipt: Option<String>,
    pub(crate) amount: Option<Decimal>,
    pub(crate) currency: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) state: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) invoice_id: String,
    pub(crate) device_id: String,
    pub(crate) is_sale: bool,
    pub(crate) state: String,
    pub(crate) invoice_no: Option<i64>,
    /// KRA's code and words, or the reason of whoever discarded it.
    pub(crate) reason: Option<String>,
    pub(crate) receipt_no: Option<String>,
    pub(crate) receipt_signature: Option<String>,
    pub(crate) internal_data: Option<String>,
}

/// What happened to invoices on the way.
#[derive(Default, Debug)]
pub(crate) struct Moves {
    pub(crate) ever_dead: i64,
    pub(crate) replayed: i64,
}

const EVENTS: &str = "
    SELECT merchant, provider, delivery_key, event_id::text, kind, duplicates::bigint, conflict
    FROM report_events WHERE merchant = ANY($1)";
const PAYMENTS: &str = "
    SELECT payment_id::text, merchant, provider, money_key, checkout_id, receipt, amount, currency, phone, state
    FROM report_payments WHERE merchant = ANY($1)";
const INVOICES: &str = "
    SELECT i.payment_id::text, i.invoice_id::text, i.device_id::text, i.kind, i.state, i.invoice_no::bigint,
           coalesce(nullif(concat_ws(' ', i.last_code, i.last_error), ''),
                    (SELECT t.reason FROM report_transitions t
                     WHERE t.subject = 'invoice' AND t.subject_id = i.invoice_id AND t.to_state = i.state
                     ORDER BY t.at DESC LIMIT 1)),
           i.receipt_no::text, i.receipt_signature, i.internal_data
    FROM report_invoices i WHERE i.merchant = ANY($1)";
const MOVES: &str = "
    SELECT count(DISTINCT subject_id) FILTER (WHERE to_state = 'dead'),
           count(*) FILTER (WHERE from_state = 'dead' AND to_state = 'pending')
    FROM report_transitions WHERE subject = 'invoice'";
const HISTORIES: &str = "
    SELECT s.id::text, s.state, t.from_state, t.to_state, t.at
    FROM (SELECT 'payment' AS subject, payment_id AS id, state FROM report_payments WHERE merchant = ANY($1)
          UNION ALL
          SELECT 'invoice', invoice_id, state FROM report_invoices WHERE merchant = ANY($1)) s
    LEFT JOIN report_transitions t ON t.subject = s.subject AND t.subject_id = s.id
    ORDER BY s.subject, s.id, t.at";
/// A credit note of a sale that was never filed waits for it, and nobody works on it.
const OPEN: &str = "
    SELECT (SELECT count(*) FROM report_events WHERE merchant = ANY($1)),
           (SELECT count(*) FROM report_invoices i
            WHERE i.merchant = ANY($1) AND i.state IN ('pending', 'submitting')
              AND (i.kind = 'sale' OR i.state = 'submitting' OR EXISTS (
                   SELECT FROM report_invoices s
                   WHERE s.payment_id = i.payment_id AND s.kind = 'sale' AND s.state NOT IN ('dead', 'discarded'))))";

/// What is still on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    pub(crate) events: i64,
    pub(crate) open_invoices: i64,
}

pub(crate) struct Database(Client);

impl Database {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls)
            .await
            .context("failed to connect to the database")?;
        // Its error is that of the query in flight.
        tokio::spawn(connection);
        client
            .batch_execute("SET statement_timeout = '60s'; SET default_transaction_read_only = on")
            .await?;
        Ok(Self(client))
    }

    pub(crate) async fn progress(&self, merchants: &[String]) -> anyhow::Result<Progress> {
        let row = self.0.query_one(OPEN, &[&merchants]).await?;
        Ok(Progress {
            events: row.try_get(0)?,
            open_invoices: row.try_get(1)?,
        })
    }

    pub(crate) async fn read(&self, merchants: &[String]) -> anyhow::Result<Views> {
        let mut events: HashMap<_, Vec<Event>> = HashMap::new();
        for row in self.0.query(EVENTS, &[&merchants]).await? {
            let key = (row.try_get(0)?, provider(&row, 1)?, row.try_get(2)?);
            events.entry(key).or_default().push(event(&row)?);
        }
        let payments = self.0.query(PAYMENTS, &[&merchants]).await?;
        let mut invoices: HashMap<_, Vec<Invoice>> = HashMap::new();
        for row in self.0.query(INVOICES, &[&merchants]).await? {
            invoices
                .entry(row.try_get(0)?)
                .or_default()
                .push(invoice(&row)?);
        }
        let mut histories: Vec<History> = Vec::new();
        for row in self.0.query(HISTORIES, &[&merchants]).await? {
            let id: String = row.try_get(0)?;
            if histories.last().is_none_or(|last| last.id != id) {
                histories.push(History {
                    id,
                    state: row.try_get(1)?,
                    moves: Vec::new(),
                });
            }
            let (to, at): (Option<String>, Option<Timestamp>) = (row.try_get(3)?, row.try_get(4)?);
            if let (Some(history), Some(to), Some(at)) = (histories.last_mut(), to, at) {
                history.moves.push(Move {
                    at,
                    from: row.try_get(2)?,
                    to,
                });
            }
        }
        let moves = self.0.query_one(MOVES, &[]).await?;
        Ok(Views {
            events,
            payments: payments
                .iter()
                .map(payment)
                .collect::<anyhow::Result<_>>()?,
            invoices,
            moves: Moves {
                ever_dead: moves.try_get(0)?,
                replayed: moves.try_get(1)?,
            },
            histories,
        })
    }
}

fn provider(row: &Row, column: usize) -> anyhow::Result<Provider> {
    let name: &str = row.try_get(column)?;
    [Provider::Daraja, Provider::Paystack, Provider::Gumroad]
        .into_iter()
        .find(|provider| provider.as_str() == name)
        .with_context(|| format!("nobody knows the provider {name}"))
}

fn event(row: &Row) -> anyhow::Result<Event> {
    Ok(Event {
        event_id: row.try_get(3)?,
        kind: row.try_get(4)?,
        duplicates: row.try_get(5)?,
        conflict: row.try_get(6)?,
    })
}

fn payment(row: &Row) -> anyhow::Result<Payment> {
    Ok(Payment {
        payment_id: row.try_get(0)?,
        merchant: row.try_get(1)?,
        provider: provider(row, 2)?,
        money_key: row.try_get(3)?,
        checkout_id: row.try_get(4)?,
        receipt: row.try_get(5)?,
        amount: row.try_get(6)?,
        currency: row.try_get(7)?,
        phone: row.try_get(8)?,
        state: row.try_get(9)?,
    })
}

fn invoice(row: &Row) -> anyhow::Result<Invoice> {
    Ok(Invoice {
        invoice_id: row.try_get(1)?,
        device_id: row.try_get(2)?,
        is_sale: row.try_get::<_, &str>(3)? == "sale",
        state: row.try_get(4)?,
        invoice_no: row.try_get(5)?,
        reason: row.try_get(6)?,
        receipt_no: row.try_get(7)?,
        receipt_signature: row.try_get(8)?,
        internal_data: row.try_get(9)?,
    })
}
