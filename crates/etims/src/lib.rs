#![doc = include_str!("../README.md")]

mod access_token;
mod answer;
mod backoff;
mod classify;
mod client;
mod code_list;
mod dialect;
mod document;
mod envelope;
mod fields;
#[cfg(test)]
mod hostile;
mod http;
mod initialise;
mod look_up;
mod outcome;
mod profile;
mod receipt;
mod sale;
mod tax;
mod text;
mod time;
mod wire;
mod witness;

pub use answer::Answer;
pub use backoff::Backoff;
pub use classify::{HaltReason, expected_number};
pub use client::Client;
pub use code_list::{CodeClass, CodeList, CodeValue};
pub use document::{SaleDocument, sale_body};
pub use http::{ClientError, ClientSettings};
pub use initialise::{InitialiseError, Initialised};
pub use outcome::{CallError, FoundSale, LookUpOutcome, SendOutcome};
pub use profile::{DeviceProfile, Item, TokenSettings};
pub use receipt::{Receipt, control_unit_invoice_no, receipt_url};
pub use tax::{Split, TaxRates};
pub use witness::{Exchange, Witness};
