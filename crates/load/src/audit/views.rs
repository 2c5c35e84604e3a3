//! Reads the reporting views, as any report would.

use std::collections::HashMap;

use anyhow::Context as _;
use jiff::Timestamp;
use rust_decimal::Decimal;
use tokio_postgres::{Client, NoTls, Row};

use crate::traffic::message::Provider;

pub(crate) struct Views {
    /// Events by merchant, provider and delivery key. More than one for a key is a breach.
    pub(crate) events: HashMap<(String, Provider, String), Vec<Event>>,
    pub(crate) payments: Vec<Payment>,
    /// Invoices by payment id.
    pub(crate) invoices: HashMap<String, Vec<Invoice>>,
    pub(crate) invoice_counts: InvoiceCounts,
    pub(crate) histories: Vec<StateHistory>,
}

/// The state of a payment or an invoice, and all its recorded transitions.
#[derive(Debug)]
pub(crate) struct StateHistory {
    pub(crate) id: String,
    pub(crate) state: String,
    /// Transitions in the order of their times.
    pub(crate) transitions: Vec<Transition>,
}

#[derive(Debug)]
pub(crate) struct Transition {
    pub(crate) at: Timestamp,
    /// None where the transition created the payment or invoice.
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
    /// KRA's code and message, or the reason for which a person discarded the invoice.
    pub(crate) reason: Option<String>,
    pub(crate) receipt_no: Option<String>,
    pub(crate) receipt_signature: Option<String>,
    pub(crate) internal_data: Option<String>,
}

/// How many invoices were dead letters at any time, and how often one was replayed.
#[derive(Default, Debug)]
pub(crate) struct InvoiceCounts {
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
const INVOICE_COUNTS: &str = "
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
/// Counts events and open invoices. A credit note does not count as open while its sale is dead or
/// discarded, because it waits for the sale.
const PROGRESS: &str = "
    SELECT (SELECT count(*) FROM report_events WHERE merchant = ANY($1)),
           (SELECT count(*) FROM report_invoices i
            WHERE i.merchant = ANY($1) AND i.state IN ('pending', 'submitting')
              AND (i.kind = 'sale' OR i.state = 'submitting' OR EXISTS (
                   SELECT FROM report_invoices s
                   WHERE s.payment_id = i.payment_id AND s.kind = 'sale' AND s.state NOT IN ('dead', 'discarded'))))";

/// How far the work has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Progress {
    pub(crate) events: i64,
    pub(crate) open_invoices: i64,
}

pub(crate) struct ReportingDatabase(Client);

impl ReportingDatabase {
    pub(crate) async fn connect(url: &str) -> anyhow::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls)
            .await
            .context("failed to connect to the database")?;
        // An error of the connection also fails the query in flight, which reports it.
        tokio::spawn(connection);
        client
            .batch_execute("SET statement_timeout = '60s'; SET default_transaction_read_only = on")
            .await?;
        Ok(Self(client))
    }

    pub(crate) async fn progress(&self, merchants: &[String]) -> anyhow::Result<Progress> {
        let row = self.0.query_one(PROGRESS, &[&merchants]).await?;
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

        let histories = self.histories(merchants).await?;
        let counts = self.0.query_one(INVOICE_COUNTS, &[]).await?;
        Ok(Views {
            events,
            payments: payments
                .iter()
                .map(payment)
                .collect::<anyhow::Result<_>>()?,
            invoices,
            invoice_counts: InvoiceCounts {
                ever_dead: counts.try_get(0)?,
                replayed: counts.try_get(1)?,
            },
            histories,
        })
    }

    async fn histories(&self, merchants: &[String]) -> anyhow::Result<Vec<StateHistory>> {
        let mut histories: Vec<StateHistory> = Vec::new();
        for row in self.0.query(HISTORIES, &[&merchants]).await? {
            let id: String = row.try_get(0)?;
            if histories.last().is_none_or(|last| last.id != id) {
                histories.push(StateHistory {
                    id,
                    state: row.try_get(1)?,
                    transitions: Vec::new(),
                });
            }

            // Without any transition the row has the subject alone.
            let to: Option<String> = row.try_get(3)?;
            let at: Option<Timestamp> = row.try_get(4)?;
            if let (Some(history), Some(to), Some(at)) = (histories.last_mut(), to, at) {
                history.transitions.push(Transition {
                    at,
                    from: row.try_get(2)?,
                    to,
                });
            }
        }
        Ok(histories)
    }
}

fn provider(row: &Row, column: usize) -> anyhow::Result<Provider> {
    let name: &str = row.try_get(column)?;
    let providers = [Provider::Daraja, Provider::Paystack, Provider::Gumroad];
    providers
        .into_iter()
        .find(|provider| provider.as_str() == name)
        .with_context(|| format!("unknown provider {name}"))
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
