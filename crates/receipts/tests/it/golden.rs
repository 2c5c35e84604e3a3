//! The worked example, to the cent, in every form. After an intended change, write the files anew
//! with `RISITI_BLESS=1`.

use risiti_receipts::{PrintedReceipt, TextCode};

use crate::fixture::{credit_note, sale};
use crate::html_reader::html_text;
use crate::pdf_reader::PdfText;

fn is_golden(name: &str, text: &str) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("RISITI_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert!(text == golden, "{name} is now:\n{text}");
}

fn all_forms_are_golden(name: &str, receipt: &PrintedReceipt) {
    is_golden(&format!("{name}.txt"), &receipt.to_text(TextCode::Marker));
    is_golden(&format!("{name}.html.txt"), &html_text(&receipt.to_html()));
    let pdf = receipt.to_pdf().unwrap();
    is_golden(&format!("{name}.pdf.txt"), &PdfText::read(&pdf).whole());
}

#[test]
fn the_sale_is_printed_as_in_the_worked_example() {
    all_forms_are_golden("sale", &sale());
}

#[test]
fn the_credit_note_is_printed_as_in_the_worked_example() {
    all_forms_are_golden("credit_note", &credit_note());
}

#[test]
fn the_copies_are_printed_as_in_the_worked_example() {
    all_forms_are_golden("sale_copy", &sale().copy());
    all_forms_are_golden("credit_note_copy", &credit_note().copy());
}

#[test]
fn the_page_itself_is_golden() {
    is_golden("sale.html", &sale().to_html());
}

#[test]
fn the_same_receipt_makes_the_same_bytes() {
    let (first, second) = (sale().to_pdf().unwrap(), sale().to_pdf().unwrap());
    assert!(first == second);
    for word in ["CreationDate", "ModDate", "CreateDate", "ModifyDate"] {
        let found = first
            .windows(word.len())
            .any(|part| part == word.as_bytes());
        assert!(!found, "{word}");
    }
}

/// The lines of the facts, which are drawn 42 columns wide, with one blank between words.
#[test]
fn the_text_has_the_words_of_the_facts_in_their_order() {
    let words = |text: &str| {
        let rules = |word: &&str| !word.starts_with("---");
        text.split_whitespace()
            .filter(rules)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for (facts, receipt) in [
        (include_str!("../facts/sale.txt"), sale()),
        (include_str!("../facts/credit_note.txt"), credit_note()),
    ] {
        assert_eq!(words(&receipt.to_text(TextCode::Marker)), words(facts));
        let count = |text: &str| text.lines().count();
        assert_eq!(count(&receipt.to_text(TextCode::Marker)), count(facts));
    }
}
