//! Real-shaped webhooks: the messages about payments, and stray requests among them.

pub(crate) mod daraja;
pub(crate) mod formats;
pub(crate) mod generator;
pub(crate) mod gumroad;
pub(crate) mod message;
pub(crate) mod payment;
pub(crate) mod payment_messages;
pub(crate) mod paystack;
pub(crate) mod scenario;
pub(crate) mod stray_request;
