#![doc = include_str!("../README.md")]

mod buyer;
mod ids;
mod invoice;
mod money;
mod names;
mod payment;
mod phone;
mod provider;

pub use buyer::{Buyer, BuyerName, KraPin};
pub use ids::{CredentialId, DeviceId, EventId, InvoiceId, MerchantId, PaymentId};
pub use invoice::{DeadCause, Dialect, Environment, InvoiceKind, InvoiceState, LaneState, TaxType};
pub use money::{AmountError, Currency, Money, parse_amount, parse_subunits};
pub use names::UnknownName;
pub use payment::{IllegalMove, PaymentMethod, PaymentState};
pub use phone::Phone;
pub use provider::{AuthenticatedBy, Provider};
