//! The trader's own number of a document (`trdInvcNo`). KRA does not compare these numbers, but
//! programs of integrators in front of it refuse one that comes twice.

use risiti_domain::{InvoiceId, InvoiceKind};

/// The length of the field.
const CHARS_MAX: usize = 50;
/// Hexadecimal digits of the invoice id. Its last ones are random.
const ID_DIGITS: usize = 12;

/// A sale has the number of its payment, which the customer knows. A credit note, or a sale whose
/// payment has a longer number, ends with part of its own id, so that it has no other's number.
pub(crate) fn trader_number(kind: InvoiceKind, invoice: InvoiceId, payment: &str) -> String {
    let payment = payment.trim();
    let prefix = match kind {
        InvoiceKind::Sale if payment.chars().count() <= CHARS_MAX => return payment.to_owned(),
        InvoiceKind::Sale => "",
        InvoiceKind::CreditNote => "CN-",
    };
    let id = invoice.uuid().simple().to_string();
    let id = &id[id.len() - ID_DIGITS..];
    let room = CHARS_MAX - prefix.len() - 1 - ID_DIGITS;
    let payment: String = payment.chars().take(room).collect();
    format!("{prefix}{payment}-{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(kind: InvoiceKind, payment: &str) -> String {
        let invoice = "0192f3c4-5d6e-7a8b-9c0d-a1b2c3d4e5f6".parse().unwrap();
        trader_number(kind, invoice, payment)
    }

    #[test]
    fn each_document_has_a_number_of_its_own() {
        assert_eq!(number(InvoiceKind::Sale, " SGR7XY8Z9Q "), "SGR7XY8Z9Q");
        assert_eq!(
            number(InvoiceKind::CreditNote, "SGR7XY8Z9Q"),
            "CN-SGR7XY8Z9Q-a1b2c3d4e5f6"
        );
    }

    #[test]
    fn long_numbers_fit_the_field_and_stay_apart() {
        let long = "é".repeat(51);
        for kind in [InvoiceKind::Sale, InvoiceKind::CreditNote] {
            let number = number(kind, &long);
            assert_eq!(number.chars().count(), CHARS_MAX, "{number}");
            assert!(number.ends_with("-a1b2c3d4e5f6"), "{number}");
        }
        let longest = "x".repeat(50);
        assert_eq!(number(InvoiceKind::Sale, &longest), longest);
    }
}
