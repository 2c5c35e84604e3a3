#![doc = include_str!("../README.md")]

mod backoff;
mod client;
mod document;
mod outcome;
mod profile;
mod receipt;
mod tax;

pub use backoff::Backoff;
pub use client::{Client, ClientError, ClientSettings};
pub use document::{SaleDocument, sale_body};
pub use outcome::{
    Answer, CallError, CodeClass, CodeList, CodeValue, FoundSale, HaltReason, InitialiseError, Initialised,
    LookUpOutcome, SendOutcome,
};
pub use profile::{DeviceProfile, Item, TokenSettings};
pub use receipt::{Receipt, control_unit_invoice_no, receipt_url};
pub use tax::{Split, TaxRates};
