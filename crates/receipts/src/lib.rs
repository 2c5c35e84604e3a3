#![doc = include_str!("../README.md")]

mod amounts;
mod choices;
mod clean_text;
mod error;
mod filed_request;
mod html;
mod input;
mod label;
mod logo;
mod model;
mod pdf;
mod qr;
mod sums;
mod tax_rows;
mod text;
mod view;

pub use choices::{Choices, ControlUnitTime, CreditTotals, ItemsNumber};
pub use error::{LogoError, PdfError, ReceiptError};
pub use filed_request::{LINES_MAX, REQUEST_BYTES_MAX};
pub use input::{Answer, Credit, Merchant, Print, ReceiptInput, Reduction};
pub use label::Label;
pub use logo::{LOGO_BYTES_MAX, LOGO_PIXELS_MAX, Logo};
pub use model::PrintedReceipt;
pub use text::TextCode;
