//! The open questions, the merchant's words, and the spellings of the dialects.

use risiti_receipts::{
    Choices, ControlUnitTime, CreditTotals, ItemsNumber, Logo, PrintedReceipt, Reduction, TextCode,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::fixture::{CREDIT_NOTE, SALE, changed, credit_input, sale, sale_input};

fn sale_text(request: &[u8], choices: Choices) -> String {
    let mut input = sale_input(request);
    input.choices = choices;
    let receipt = PrintedReceipt::read(input).unwrap();
    receipt.to_text(TextCode::Marker)
}

fn line_of<'a>(text: &'a str, label: &str) -> &'a str {
    text.lines()
        .find(|line| line.trim_start().starts_with(label))
        .unwrap_or_else(|| panic!("no {label} in:\n{text}"))
}

#[test]
fn every_open_question_has_its_setting() {
    let choices = Choices {
        sentence_on_copies: false,
        label_on_cu_invoice_no: true,
        credit_totals: CreditTotals::WithTax,
        items_number: ItemsNumber::Pieces,
        control_unit_time: ControlUnitTime::Sent,
        exempt_total: true,
    };
    let text = sale_text(SALE.as_bytes(), choices);
    assert!(line_of(&text, "CU INVOICE NO.:").ends_with("/42 NS"));
    assert!(line_of(&text, "ITEMS NUMBER").ends_with(" 8"));
    assert!(line_of(&text, "Date:").ends_with("14:15:00"));
    assert!(line_of(&text, "TOTAL TAX EXEMPTED").ends_with(" 945.00"));

    let mut input = credit_input(CREDIT_NOTE.as_bytes());
    input.choices = choices;
    let copy = PrintedReceipt::read(input).unwrap().copy();
    let text = copy.to_text(TextCode::Marker);
    assert!(line_of(&text, "TOTAL B-16.00%").ends_with(" -1450.00"));
    for form in [text, copy.to_html()] {
        assert!(form.contains("COPY") && !form.contains("OFFICIAL"));
    }
}

#[test]
fn the_reason_of_a_credit_note_is_printed_if_given() {
    let mut input = credit_input(CREDIT_NOTE.as_bytes());
    input.credit.as_mut().unwrap().reason = Some("Returned goods".to_owned());
    let receipt = PrintedReceipt::read(input).unwrap();
    let text = receipt.to_text(TextCode::Marker);
    assert!(text.contains("Reason: Returned goods\n"));
    assert!(receipt.to_html().contains("<bdi>Returned goods</bdi>"));
}

#[test]
fn a_reduction_has_the_merchants_words() {
    let mut input = sale_input(SALE.as_bytes());
    let reduction = |line, narration: &str, percent: Option<i64>| Reduction {
        line,
        narration: narration.to_owned(),
        percent: percent.map(Decimal::from),
    };
    input.reductions = vec![
        reduction(2, "Loyal customer", None),
        reduction(3, "Lower price", Some(15)),
    ];
    let text = PrintedReceipt::read(input)
        .unwrap()
        .to_text(TextCode::Marker);
    assert!(line_of(&text, "Loyal customer 10%").ends_with("(58.00)"));
    assert_eq!(line_of(&text, "Lower price"), "  Lower price 15%");
}

/// The discount of a credited line gives back less, so that it is the one positive amount.
#[test]
fn the_discount_of_a_credited_line_has_the_other_sign() {
    let mut request: Value = serde_json::from_str(SALE).unwrap();
    request["rcptTyCd"] = json!("R");
    let request = serde_json::to_vec(&request).unwrap();
    let receipt = PrintedReceipt::read(credit_input(&request)).unwrap();
    let text = receipt.to_text(TextCode::Marker);
    assert!(line_of(&text, "580.00 x 1").ends_with("-580.00B"));
    assert!(line_of(&text, "Discount 10%").ends_with(" 58.00"));
    assert!(line_of(&text, "TOTAL (KES)").ends_with("-4367.00"));
}

#[test]
fn a_walk_in_buyer_is_not_printed() {
    // As each dialect spells it: null, empty, missing.
    for pin in [Some(json!(null)), Some(json!("")), None] {
        let request = changed(|request| {
            request["custNm"] = json!("N/A");
            for at in [&[][..], &["receipt"]] {
                let head = at.iter().fold(&mut *request, |head, key| &mut head[*key]);
                let head = head.as_object_mut().unwrap();
                match &pin {
                    Some(pin) => head.insert("custTin".to_owned(), pin.clone()),
                    None => head.remove("custTin"),
                };
            }
        });
        let text = sale_text(&request, Choices::default());
        assert!(!text.contains("Buyer"), "{text}");
    }
}

/// The bodies that `risiti-etims` builds, which its own test keeps as they are.
#[test]
fn the_bodies_of_every_dialect_are_read() {
    for body in [
        include_str!("../../../etims/tests/golden/legacy_sale.json"),
        include_str!("../../../etims/tests/golden/gateway_sale.json"),
        include_str!("../../../etims/tests/golden/vscu_sale.json"),
        include_str!("../../../etims/tests/golden/legacy_odd_sale.json"),
        include_str!("../../../etims/tests/golden/gateway_odd_sale.json"),
        include_str!("../../../etims/tests/golden/vscu_odd_sale.json"),
    ] {
        let text = sale_text(body.as_bytes(), Choices::default());
        assert!(line_of(&text, "RECEIPT NUMBER:").ends_with(" TILL1-000001"));
        assert!(line_of(&text, "16%").contains('.'));
    }
    for body in [
        include_str!("../../../etims/tests/golden/legacy_credit_note.json"),
        include_str!("../../../etims/tests/golden/gateway_credit_note.json"),
        include_str!("../../../etims/tests/golden/vscu_credit_note.json"),
    ] {
        let note = PrintedReceipt::read(credit_input(body.as_bytes())).unwrap();
        let text = note.to_text(TextCode::Marker);
        assert!(line_of(&text, "TOTAL TAX B").ends_with(" -80.00"));
    }
}

#[test]
fn quoted_numbers_are_numbers() {
    fn quote(value: &mut Value) {
        match value {
            Value::Number(number) => *value = json!(format!("{number}.00")),
            Value::Array(values) => values.iter_mut().for_each(quote),
            Value::Object(members) => members.values_mut().for_each(quote),
            _ => {}
        }
    }
    let request = changed(quote);
    assert_eq!(
        sale_text(&request, Choices::default()),
        sale().to_text(TextCode::Marker)
    );
}

#[test]
fn rows_are_named_after_the_filed_rates() {
    let request = changed(|request| request["taxRtE"] = json!(8));
    let text = sale_text(&request, Choices::default());
    assert_eq!(text, sale().to_text(TextCode::Marker));

    let request = changed(|request| {
        request["taxRtE"] = json!(9.5);
        request["rcptTyCd"] = json!("R");
    });
    let credit = PrintedReceipt::read(credit_input(&request)).unwrap();
    let text = credit.to_text(TextCode::Marker);
    assert!(line_of(&text, "TOTAL E-9.50%").ends_with(" 0.00"));
    assert!(line_of(&text, "TOTAL TAX E").ends_with(" 0.00"));
}

/// A grey picture of 2 by 1 pixels.
const PNG: &[u8] = include_bytes!("../facts/logo.png");

#[test]
fn logos_are_part_of_the_document() {
    let mut input = sale_input(SALE.as_bytes());
    input.merchant.logo = Some(Logo::read(PNG.to_vec()).unwrap());
    input.merchant.kra_logo = Some(Logo::read(PNG.to_vec()).unwrap());
    let receipt = PrintedReceipt::read(input).unwrap();
    let html = receipt.to_html();
    assert_eq!(html.matches("src=\"data:image/png;base64,").count(), 2);
    assert!(!html.contains("class=\"kra\""));
    let pdf = receipt.to_pdf().unwrap();
    let document = lopdf::Document::load_mem(&pdf).unwrap();
    let page = document.get_pages()[&1];
    assert_eq!(document.get_page_images(page).unwrap().len(), 1);
}

#[test]
fn a_logo_without_pixels_is_an_error_of_the_pdf() {
    let mut input = sale_input(SALE.as_bytes());
    input.merchant.logo = Some(Logo::read(PNG[..40].to_vec()).unwrap());
    let error = PrintedReceipt::read(input).unwrap().to_pdf().unwrap_err();
    assert_eq!(error, risiti_receipts::PdfError::Logo);
}
