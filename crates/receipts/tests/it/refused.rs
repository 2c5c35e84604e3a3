//! What is missing or wrong refuses the receipt, with a text that names it and nobody.

use risiti_receipts::{
    Answer, Credit, PrintedReceipt, REQUEST_BYTES_MAX, ReceiptError, ReceiptInput, Reduction,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::fixture::{CREDIT_NOTE, SALE, changed, credit_input, long_sale, sale_input};

fn refusal(input: ReceiptInput<'_>) -> ReceiptError {
    PrintedReceipt::read(input).unwrap_err()
}

fn refusal_of_answer(change: impl FnOnce(&mut Answer)) -> ReceiptError {
    let mut input = sale_input(SALE.as_bytes());
    change(&mut input.answer);
    refusal(input)
}

fn refusal_of_request(change: impl FnOnce(&mut Value)) -> ReceiptError {
    refusal(sale_input(&changed(change)))
}

#[test]
fn nothing_is_printed_without_kras_answer() {
    let lacks = ReceiptError::AnswerLacks;
    assert_eq!(
        refusal_of_answer(|answer| *answer = Answer::default()),
        lacks("receipt number")
    );
    assert_eq!(
        refusal_of_answer(|answer| answer.signature = None),
        lacks("signature")
    );
    assert_eq!(
        refusal_of_answer(|answer| answer.internal_data = Some(" ".to_owned())),
        lacks("internal data")
    );
    assert_eq!(
        refusal_of_answer(|answer| answer.internal_data = Some("KLMN".to_owned())),
        lacks("internal data of 26 characters")
    );
    assert_eq!(
        refusal_of_answer(|answer| answer.control_unit_id = None),
        lacks("control unit id")
    );
    assert_eq!(
        refusal_of_answer(|answer| answer.total_receipt_no = None),
        lacks("total receipt number")
    );
    assert_eq!(
        refusal_of_answer(|answer| answer.issued_at = None),
        lacks("time")
    );
}

#[test]
fn a_wrong_part_of_the_code_refuses_the_receipt() {
    let wrong = |part, wanted, found| ReceiptError::QrPart {
        part,
        wanted,
        found,
    };
    assert_eq!(
        refusal_of_answer(|answer| answer.signature = Some("ABCD2345EFGH67I".to_owned())),
        wrong("the receipt signature", 16, 15)
    );
    assert_eq!(
        refusal_of_request(|request| request["tin"] = json!("P05123456X")),
        wrong("the seller's PIN", 11, 10)
    );
    assert_eq!(
        refusal_of_request(|request| request["bhfId"] = json!("000")),
        wrong("the branch code", 2, 3)
    );
    assert_eq!(
        refusal_of_request(|request| request["bhfId"] = json!("0/")),
        ReceiptError::QrCharacter {
            part: "the branch code"
        }
    );
}

#[test]
fn a_credit_note_needs_the_sales_cu_invoice_number() {
    for original in ["", "42", "SAL-261127-0042", "KRACU0400009999/", "/42"] {
        let mut input = credit_input(CREDIT_NOTE.as_bytes());
        input.credit = Some(Credit {
            original_cu_invoice_no: original.to_owned(),
            reason: None,
        });
        assert_eq!(refusal(input), ReceiptError::OriginalInvoice, "{original}");
    }
    let mut input = credit_input(CREDIT_NOTE.as_bytes());
    input.credit = None;
    assert_eq!(refusal(input), ReceiptError::OriginalInvoice);

    let mut input = sale_input(SALE.as_bytes());
    input.credit = Some(Credit::default());
    assert_eq!(refusal(input), ReceiptError::OriginalOfSale);
}

#[test]
fn a_merchant_has_a_name_and_an_address() {
    let mut input = sale_input(SALE.as_bytes());
    input.merchant.trade_name = "\u{202e} \n".to_owned();
    assert_eq!(refusal(input), ReceiptError::MerchantLacks("trade name"));
    let mut input = sale_input(SALE.as_bytes());
    input.merchant.address = String::new();
    assert_eq!(refusal(input), ReceiptError::MerchantLacks("shop address"));
}

#[test]
fn trainings_and_proformas_are_not_printed() {
    for kind in ["T", "P", "C", ""] {
        let error = refusal_of_request(|request| request["salesTyCd"] = json!(kind));
        assert!(error.to_string().contains("salesTyCd"), "{error}");
    }
}

#[test]
fn a_request_is_bounded() {
    assert_eq!(
        refusal(sale_input(&vec![b' '; REQUEST_BYTES_MAX + 1])),
        ReceiptError::RequestTooLarge(REQUEST_BYTES_MAX)
    );
    for lines in [0, 1000] {
        assert_eq!(
            refusal(sale_input(&long_sale(lines, "Item"))),
            ReceiptError::LineCount(lines)
        );
    }
}

#[test]
fn no_refusal_quotes_the_request() {
    let whole = changed(|request| request["custNm"] = json!({"Upendo": 1}));
    let cut = SALE.as_bytes()[..SALE.len() / 2].to_vec();
    for request in [whole, cut, b"Upendo".to_vec()] {
        let error = refusal(sale_input(&request));
        assert!(
            matches!(error, ReceiptError::RequestUnreadable { .. }),
            "{error}"
        );
        assert!(!error.to_string().contains("Upendo"), "{error}");
    }
    let receipt = PrintedReceipt::read(sale_input(SALE.as_bytes())).unwrap();
    assert_eq!(
        format!("{receipt:?}"),
        "PrintedReceipt(KRACU0400009999/42 NS)"
    );
}

#[test]
fn a_reduction_names_a_filed_line() {
    let with = |line, percent: i64| {
        let mut input = sale_input(SALE.as_bytes());
        input.reductions = vec![Reduction {
            line,
            narration: "Less".to_owned(),
            percent: Some(Decimal::from(percent)),
        }];
        refusal(input)
    };
    assert_eq!(with(4, 5), ReceiptError::ReductionLine(4));
    assert_eq!(with(0, 5), ReceiptError::ReductionLine(0));
    assert_eq!(with(1, 101), ReceiptError::ReductionPercent(1));
}
