//! Names from the outside world, and requests that are none.

use proptest::prelude::*;
use risiti_receipts::{Answer, PrintedReceipt, TextCode};
use serde_json::{Value, json};

use crate::fixture::{CREDIT_NOTE, SALE, changed, credit_input, sale_input};
use crate::html_reader::html_text;
use crate::pdf_reader::PdfText;

/// Every place of a receipt that takes words from outside.
fn with_words(words: &str) -> PrintedReceipt {
    let request = changed(|request| {
        request["custNm"] = json!(words);
        request["custTin"] = json!(words);
        request["itemList"][0]["itemNm"] = json!(format!("x{words}"));
        request["trdInvcNo"] = json!(format!("x{words}"));
    });
    let mut input = sale_input(&request);
    input.merchant.trade_name = format!("x{words}");
    input.merchant.address = format!("x{words}");
    input.merchant.opening_message = Some(words.to_owned());
    input.merchant.closing_message = Some(words.to_owned());
    PrintedReceipt::read(input).unwrap()
}

#[test]
fn markup_in_a_name_is_text() {
    let words = "</bdi><script>alert('1')</script>\" onload=\"x&{{7*7}}";
    let html = with_words(words).to_html();
    assert!(!html.contains("<script"), "{html}");
    assert!(!html.contains("onload=\""), "{html}");
    assert!(html_text(&html).contains(&format!("Buyer: {words}")));
}

#[test]
fn no_form_runs_a_printers_command() {
    let words = "Upendo\u{1b}@\u{1d}V\u{0}\u{10}\u{9b}Ltd\r\n-- TOTAL 0.00";
    let receipt = with_words(words);
    for form in [receipt.to_text(TextCode::Blocks), receipt.to_html()] {
        let odd = form.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(odd, None);
    }
    // A line of its own cannot be forged.
    let text = receipt.to_text(TextCode::Marker);
    assert!(
        text.contains("Buyer: Upendo @ V Ltd -- TOTAL 0.00\n"),
        "{text}"
    );
}

#[test]
fn right_to_left_names_move_no_amount() {
    let words = "نور \u{202e}00.0001\u{2067}";
    let receipt = with_words(words);
    let html = receipt.to_html();
    assert!(html.contains("Buyer: <bdi>نور 00.0001</bdi>"), "{html}");
    let text = receipt.to_text(TextCode::Marker);
    assert!(text.contains("Buyer: ??? 00.0001\n"), "{text}");
    let pdf = PdfText::read(&receipt.to_pdf().unwrap()).whole();
    assert!(pdf.contains("TOTAL (KES)"), "{pdf}");
    assert!(!pdf.contains('\u{202e}'), "{pdf}");
}

#[test]
fn letters_that_are_lacking_show() {
    let receipt = with_words("東京 Traders");
    let text = receipt.to_text(TextCode::Marker);
    assert!(text.contains("Buyer: ?? Traders\n"), "{text}");
    let pdf = PdfText::read(&receipt.to_pdf().unwrap()).whole();
    assert!(pdf.contains("Buyer: \u{fffd}\u{fffd} Traders"), "{pdf}");
}

#[test]
fn an_endless_name_is_cut_visibly() {
    let receipt = with_words(&"W".repeat(100_000));
    let text = receipt.to_text(TextCode::Marker);
    assert!(text.contains("...\n"), "{text}");
    assert!(text.len() < 5_000 && receipt.to_html().len() < 50_000);
    let pages = PdfText::read(&receipt.to_pdf().unwrap()).pages;
    assert!(pages.len() <= 2, "{} pages", pages.len());
}

fn every_form(receipt: &PrintedReceipt) {
    for line in receipt.to_text(TextCode::Blocks).lines() {
        assert!(line.chars().count() <= 48, "{line}");
    }
    assert!(html_text(&receipt.to_html()).contains("SCU INFORMATION"));
    assert!(receipt.to_pdf().unwrap().starts_with(b"%PDF"));
}

/// Damages a request at one place: other bytes, a cut, or a part twice.
fn damaged(request: &str, at: prop::sample::Index, bytes: &[u8], cut: bool) -> Vec<u8> {
    let at = at.index(request.len());
    let (before, after) = request.as_bytes().split_at(at);
    let after = if cut { &[][..] } else { after };
    [before, bytes, after].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_words_can_be_printed(words in any::<String>()) {
        let receipt = with_words(&words);
        every_form(&receipt);
        every_form(&receipt.copy());
    }

    #[test]
    fn any_words_of_few_letters_can_be_printed(
        words in "[a \u{5d0}\u{627}\u{301}\u{200d}\u{202e}\u{1f468}\u{fe0f}\u{0}<&\"]{0,120}"
    ) {
        every_form(&with_words(&words));
    }
}

proptest! {
    #[test]
    fn no_damaged_request_panics(
        at in any::<prop::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..6),
        cut in any::<bool>(),
    ) {
        for printed in [
            PrintedReceipt::read(sale_input(&damaged(SALE, at, &bytes, cut))),
            PrintedReceipt::read(credit_input(&damaged(CREDIT_NOTE, at, &bytes, cut))),
        ].into_iter().flatten() {
            let _ = printed.to_text(TextCode::Marker);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(PrintedReceipt::read(sale_input(&bytes)).is_err());
    }

    #[test]
    fn no_number_panics(index in 0usize..20, number in "-?[0-9]{1,40}(\\.[0-9]{1,40})?") {
        let number: Value = json!(number);
        let request = changed(|request| {
            let keys: Vec<String> = request["itemList"][0].as_object().unwrap().keys().cloned().collect();
            request["itemList"][0][&keys[index % keys.len()]] = number.clone();
        });
        let _ = PrintedReceipt::read(sale_input(&request));
    }

    #[test]
    fn no_answer_panics(
        number in any::<i64>(), total in any::<Option<i64>>(),
        signature in any::<Option<String>>(), data in any::<Option<String>>(), unit in any::<Option<String>>(),
    ) {
        let mut input = sale_input(SALE.as_bytes());
        input.answer = Answer {
            receipt_no: number,
            total_receipt_no: total,
            signature,
            internal_data: data,
            control_unit_id: unit,
            issued_at: input.answer.issued_at,
        };
        if let Ok(receipt) = PrintedReceipt::read(input) {
            every_form(&receipt);
        }
    }
}
