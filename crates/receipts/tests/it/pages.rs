//! Receipts of many lines over many pages.

use risiti_receipts::{PrintedReceipt, TextCode};

use crate::fixture::{long_sale, sale_input};
use crate::pdf_reader::PdfText;

fn receipt(lines: usize, name: &str) -> PrintedReceipt {
    PrintedReceipt::read(sale_input(&long_sale(lines, name))).unwrap()
}

fn pages(lines: usize, name: &str) -> Vec<String> {
    PdfText::read(&receipt(lines, name).to_pdf().unwrap()).pages
}

#[test]
fn every_line_is_on_some_page_and_none_twice() {
    for lines in [1, 2, 30, 31, 40, 41, 42, 43, 44, 45, 46, 47, 48, 60, 999] {
        let pages = pages(lines, "Maize flour");
        let count = |page: &String| page.matches("1.00 x 1").count();
        assert_eq!(pages.iter().map(count).sum::<usize>(), lines);
        for (index, page) in pages.iter().enumerate() {
            let foot = format!("Page {} of {}", index + 1, pages.len());
            assert!(page.contains(&foot), "{lines} lines: no {foot}");
        }
        // No block is torn: both ends of it are on one page.
        for (first, last) in [
            ("SUB TOTAL", "TOTAL (KES)"),
            ("Rate", "8%"),
            ("SCU INFORMATION", "Receipt Signature"),
            ("TIS INFORMATION", "TIME:"),
        ] {
            let whole = |page: &&String| page.contains(first) && page.contains(last);
            assert_eq!(
                pages.iter().filter(whole).count(),
                1,
                "{lines} lines, {first}"
            );
        }
    }
}

#[test]
fn a_receipt_of_three_lines_needs_one_page() {
    assert_eq!(pages(3, "Maize flour").len(), 1);
}

#[test]
fn the_longest_receipt_prints_in_every_form() {
    let longest = receipt(999, &"Maize flour of the finest kind ".repeat(7));
    let pages = PdfText::read(&longest.copy().to_pdf().unwrap()).pages;
    assert!(pages.len() > 50, "{} pages", pages.len());
    // Each page of a copy has its watermark.
    assert!(pages.iter().all(|page| page.contains("COPY")));
    assert_eq!(
        longest
            .to_text(TextCode::Marker)
            .matches("1.00A-EX")
            .count(),
        999
    );
    assert_eq!(longest.to_html().matches("1.00A-EX").count(), 999);
}
