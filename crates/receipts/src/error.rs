//! Why a receipt cannot be printed.

/// The reason a receipt is refused. No message holds a buyer's name or another text of the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("the filed request has more than {0} bytes")]
    RequestTooLarge(usize),
    #[error("the filed request is unreadable at line {line}, column {column}")]
    RequestUnreadable { line: usize, column: usize },
    #[error("the filed request has no {0}")]
    RequestLacks(&'static str),
    #[error("{field} of the filed request is {problem}")]
    RequestField {
        field: &'static str,
        problem: &'static str,
    },
    #[error("a line of the filed request has no tax type A, B, C, D or E")]
    TaxType,
    #[error("the filed request has {0} lines; a receipt has 1 to 999")]
    LineCount(usize),
    #[error("the filed request does not add up: {0}")]
    Sums(&'static str),
    /// Nothing is printed as fiscal without KRA's answer.
    #[error("KRA's answer has no {0}")]
    AnswerLacks(&'static str),
    #[error("{part} of the QR code has {found} characters instead of {wanted}")]
    QrPart {
        part: &'static str,
        wanted: usize,
        found: usize,
    },
    #[error("{part} of the QR code has a character that is neither a letter nor a digit")]
    QrCharacter { part: &'static str },
    #[error("the merchant has no {0}")]
    MerchantLacks(&'static str),
    #[error("a credit note needs the original CU invoice number, such as KRACU0400009999/42")]
    OriginalInvoice,
    #[error("the original CU invoice number belongs to a credit note, and this is a sale")]
    OriginalOfSale,
    #[error("a reduction names line {0}, which the filed request does not have")]
    ReductionLine(usize),
    #[error("a reduction of line {0} has a percent outside 0 to 100")]
    ReductionPercent(usize),
}

/// Why a file cannot serve as a logo.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogoError {
    #[error("the logo has more than {0} bytes")]
    TooLarge(usize),
    #[error("the logo is neither a PNG nor a JPEG file")]
    Format,
    #[error("the logo is broken: its size cannot be read")]
    Broken,
    #[error("the logo has more than {0} pixels on a side, or none")]
    Size(u32),
}

/// Why a PDF could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    #[error("a logo cannot be decoded")]
    Logo,
    #[error("the document cannot be written")]
    Document,
}
