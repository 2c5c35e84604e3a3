//! Recording webhooks: events, the payments they report, reversals, and the invoices that are owed.

pub(crate) mod batch;
pub(crate) mod events;
mod locked_payments;
pub(crate) mod owing;
mod payment;
pub(crate) mod payment_rows;
pub(crate) mod recorded;
pub(crate) mod reversal_rows;
mod reversals;
pub(crate) mod stripes;
pub(crate) mod suspects;
