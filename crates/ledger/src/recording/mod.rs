//! Recording webhooks: events, the payments they report, reversals, and the invoices that are owed.
//!
//! [`batch`] is on top. Of each kind there is a pure file for one row (`event`, `payment`,
//! `reversal`), and one with its statements (`event_rows`, `payment_rows`, `reversal_rows`).

pub(crate) mod batch;
pub(crate) mod credit_notes;
pub(crate) mod event;
pub(crate) mod event_rows;
mod event_updates;
pub(crate) mod invoices;
pub(crate) mod keys;
pub(crate) mod locked_payments;
pub(crate) mod locked_reversals;
mod new_events;
pub(crate) mod owing;
pub(crate) mod payment;
pub(crate) mod payment_rows;
pub(crate) mod payment_writes;
pub(crate) mod recorded;
pub(crate) mod reversal;
pub(crate) mod reversal_rows;
pub(crate) mod stripes;
pub(crate) mod suspects;
pub(crate) mod unanswered;
pub(crate) mod verdict;
