//! The blocks that KRA's pages 8 and 10 list, walked in order over every form.

use risiti_receipts::{PrintedReceipt, TextCode};

use crate::fixture::{credit_note, sale};
use crate::html_reader::html_text;
use crate::pdf_reader::{PdfText, font_sizes};

/// The blocks of section 2 of the facts (page 8), each with its must-have texts.
const SALE_BLOCKS: &[(&str, &[&str])] = &[
    ("1 KRA logo", &["KRA"]),
    (
        "2 seller",
        &[
            "BARAKA MINI MART",
            "Moi Avenue, Nairobi",
            "PIN: P051234567X",
        ],
    ),
    ("3 title", &["TAX INVOICE"]),
    ("4 message", &["Karibu. Welcome."]),
    (
        "5 buyer",
        &["Buyer: Upendo Traders Ltd", "Buyer PIN: P059876543Z"],
    ),
    (
        "6 items",
        &[
            "Cooking gas regulator",
            "1450.00 x 2",
            "2900.00B",
            "Delivery and fitting",
            "580.00 x 1",
            "580.00B",
            "Discount 10%",
            "(58.00)",
            "Maize flour 2 kg",
            "189.00 x 5",
            "945.00A-EX",
        ],
    ),
    (
        "7 totals",
        &[
            "TOTAL BEFORE DISCOUNT",
            "4425.00",
            "TOTAL DISCOUNT AWARDED",
            "(58.00)",
            "SUB TOTAL",
            "3895.00",
            "VAT",
            "472.00",
            "TOTAL (KES)",
            "4367.00",
        ],
    ),
    ("8 payment", &["MOBILE MONEY", "4367.00"]),
    ("9 count", &["ITEMS NUMBER", "3"]),
    (
        "10 tax table",
        &[
            "Rate",
            "Taxable Amount",
            "VAT",
            "EX",
            "945.00",
            "0.00",
            "16%",
            "2950.00",
            "472.00",
            "0%",
            "0.00",
            "0.00",
            "Non-VAT",
            "0.00",
            "0.00",
            "8%",
            "0.00",
            "0.00",
        ],
    ),
    (
        "11 SCU block",
        &[
            "SCU INFORMATION",
            "Date: 27/11/2026",
            "Time: 14:15:02",
            "SCU ID: KRACU0400009999",
            "CU INVOICE NO.: KRACU0400009999/42",
            "42/42 NS",
            "Internal Data:",
            "KLMN-2345-OPQR-67ST-UV23-45WX-YZ",
            "Receipt Signature: ABCD-2345-EFGH-67IJ",
        ],
    ),
    (
        "13 TIS block",
        &[
            "TIS INFORMATION",
            "RECEIPT NUMBER: SAL-261127-0042",
            "DATE: 27/11/2026",
            "TIME: 14:15:00",
        ],
    ),
    ("14 message", &["Asante. Thank you."]),
];

/// The differences of section 6 (page 10), with what stays.
const CREDIT_BLOCKS: &[(&str, &[&str])] = &[
    ("logo", &["KRA"]),
    (
        "seller",
        &[
            "BARAKA MINI MART",
            "Moi Avenue, Nairobi",
            "PIN: P051234567X",
        ],
    ),
    ("title", &["CREDIT NOTE"]),
    (
        "original",
        &["ORIGINAL CU INVOICE NO.#:", "KRACU0400009999/42"],
    ),
    (
        "notice",
        &["CREDIT NOTE IS APPROVED ONLY FOR", "ORIGINAL SALES RECEIPT"],
    ),
    (
        "buyer",
        &["Buyer: Upendo Traders Ltd", "Buyer PIN: P059876543Z"],
    ),
    (
        "lines",
        &[
            "Cooking gas regulator",
            "1450.00 x 1",
            "-1450.00B",
            "Maize flour 2 kg",
            "189.00 x 2",
            "-378.00A-EX",
        ],
    ),
    (
        "totals",
        &[
            "TOTAL (KES)",
            "-1828.00",
            "TOTAL A-EX",
            "-378.00",
            "TOTAL B-16.00%",
            "-1250.00",
            "TOTAL TAX B",
            "-200.00",
            "TOTAL C-0.00%",
            "0.00",
            "TOTAL D",
            "0.00",
            "TOTAL E",
            "0.00",
            "TOTAL TAX",
            "-200.00",
        ],
    ),
    ("payment", &["MOBILE MONEY", "-1828.00"]),
    ("count", &["ITEMS NUMBER", "2"]),
    (
        "SCU block",
        &[
            "SCU INFORMATION",
            "Date: 28/11/2026",
            "Time: 09:30:11",
            "SCU ID: KRACU0400009999",
            "CU INVOICE NO.: KRACU0400009999/43",
            "43/43 NC",
            "Internal Data:",
            "BCDE-2345-FGHI-67JK-LM23-45NO-PQ",
            "Receipt Signature: QRST-67AB-CDEF-2345",
        ],
    ),
    (
        "TIS block",
        &[
            "TIS INFORMATION",
            "RECEIPT NUMBER: CN-261128-0001",
            "DATE: 28/11/2026",
            "TIME: 09:30:09",
        ],
    ),
];

fn walk(form: &str, text: &str, blocks: &[(&str, &[&str])]) {
    let mut rest = text;
    for (block, parts) in blocks {
        for part in *parts {
            let at = rest
                .find(part)
                .unwrap_or_else(|| panic!("{form}, block {block}: no {part:?} in:\n{rest}"));
            rest = &rest[at + part.len()..];
        }
    }
}

fn texts(receipt: &PrintedReceipt) -> [(&'static str, String); 3] {
    let pdf = receipt.to_pdf().unwrap();
    [
        ("pdf", PdfText::read(&pdf).whole()),
        ("html", html_text(&receipt.to_html())),
        ("text", receipt.to_text(TextCode::Blocks)),
    ]
}

#[test]
fn every_block_of_page_8_is_there_in_order() {
    for (form, text) in texts(&sale()) {
        walk(form, &text, SALE_BLOCKS);
    }
}

#[test]
fn every_block_of_page_10_is_there_in_order() {
    for (form, text) in texts(&credit_note()) {
        walk(form, &text, CREDIT_BLOCKS);
        assert!(
            !text.contains("SUB TOTAL") && !text.contains("Taxable Amount"),
            "{form}"
        );
    }
}

#[test]
fn copy_and_its_sentence_stand_between_head_and_items() {
    let copy_after = [
        ("title", &["TAX INVOICE"][..]),
        ("copy", &["COPY", "THIS IS NOT AN OFFICIAL RECEIPT"][..]),
        ("buyer", &["Buyer: Upendo Traders Ltd"][..]),
        ("counter", &["42/42 CS"][..]),
    ];
    for (form, text) in texts(&sale().copy()) {
        walk(form, &text, &copy_after);
    }
    for (form, text) in texts(&credit_note().copy()) {
        walk(form, &text, &[("counter", &["43/43 CC"])]);
    }
}

#[test]
fn the_marks_of_a_copy_are_twice_the_size_of_the_amounts() {
    let pdf = sale().copy().to_pdf().unwrap();
    let sizes = font_sizes(&pdf);
    assert_eq!(
        sizes.iter().filter(|size| **size == 150.0).count(),
        1,
        "{sizes:?}"
    );
    assert!(sizes.contains(&22.0) && sizes.contains(&18.0), "{sizes:?}");
    assert!(sizes.contains(&9.0), "{sizes:?}");

    let html = sale().copy().to_html();
    assert!(html.contains("body { font: 9pt/"));
    assert!(html.contains(".copy { font-size: 22pt"));
    assert!(html.contains(".copy .sentence { font-size: 18pt"));
    assert!(html.contains("<div class=\"watermark\""));
    assert!(!sale().to_html().contains("<div class=\"watermark\""));
}

/// Takes the marks of a copy out of its text.
fn without_marks(text: &str) -> String {
    let marks = ["COPY", "THIS IS NOT AN OFFICIAL RECEIPT"];
    let lines = text.lines().filter(|line| {
        !marks.contains(&line.trim()) && !line.contains("#") || line.contains("NO.#")
    });
    let text: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    text.join("\n")
        .replace(&format!("{:-^48}", " COPY "), &"-".repeat(48))
        .replace("42/42 CS", "42/42 NS")
        .replace("43/43 CC", "43/43 NC")
}

#[test]
fn a_copy_repeats_everything_else() {
    for original in [sale(), credit_note()] {
        for ((form, first), (_, copy)) in texts(&original).iter().zip(texts(&original.copy())) {
            let lines: Vec<&str> = first.lines().filter(|line| !line.is_empty()).collect();
            assert_eq!(without_marks(&copy), lines.join("\n"), "{form}");
        }
    }
}
