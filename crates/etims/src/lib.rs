#![doc = include_str!("../README.md")]

mod backoff;
mod classify;
mod client;
mod code_list;
mod dialect;
mod document;
mod envelope;
mod fields;
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
mod token;
mod wire;

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
