//! The worked example: a sale in three lines and a credit note of parts of it. Everything in it is
//! invented.

use jiff::Timestamp;
use risiti_domain::Environment;
use risiti_receipts::{Answer, Choices, Credit, Merchant, Print, PrintedReceipt, ReceiptInput};
use serde_json::{Value, json};

pub(crate) const SALE: &str = include_str!("../facts/sale.json");
pub(crate) const CREDIT_NOTE: &str = include_str!("../facts/credit_note.json");
pub(crate) const SALE_LINK: &str = "https://etims-sbx.kra.go.ke/common/link/etims/receipt/indexEtimsReceiptData?Data=P051234567X00ABCD2345EFGH67IJ";

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

pub(crate) fn sale_input(request: &[u8]) -> ReceiptInput<'_> {
    ReceiptInput {
        request,
        answer: Answer {
            receipt_no: 42,
            total_receipt_no: Some(42),
            signature: Some("ABCD2345EFGH67IJ".to_owned()),
            internal_data: Some("KLMN2345OPQR67STUV2345WXYZ".to_owned()),
            control_unit_id: Some("KRACU0400009999".to_owned()),
            issued_at: time("2026-11-27T11:15:02Z"),
        },
        environment: Environment::Sandbox,
        merchant: Merchant {
            trade_name: "Baraka Mini Mart".to_owned(),
            address: "Moi Avenue, Nairobi".to_owned(),
            opening_message: Some("Karibu. Welcome.".to_owned()),
            closing_message: Some("Asante. Thank you.".to_owned()),
            logo: None,
            kra_logo: None,
        },
        print: Print::Original,
        credit: None,
        reductions: Vec::new(),
        choices: Choices::default(),
    }
}

pub(crate) fn credit_input(request: &[u8]) -> ReceiptInput<'_> {
    let sale = sale_input(request);
    ReceiptInput {
        answer: Answer {
            receipt_no: 43,
            total_receipt_no: Some(43),
            signature: Some("QRST67ABCDEF2345".to_owned()),
            internal_data: Some("BCDE2345FGHI67JKLM2345NOPQ".to_owned()),
            control_unit_id: Some("KRACU0400009999".to_owned()),
            issued_at: time("2026-11-28T06:30:11Z"),
        },
        merchant: Merchant {
            opening_message: None,
            closing_message: None,
            ..sale.merchant
        },
        credit: Some(Credit {
            original_cu_invoice_no: "KRACU0400009999/42".to_owned(),
            reason: None,
        }),
        ..sale
    }
}

pub(crate) fn sale() -> PrintedReceipt {
    PrintedReceipt::read(sale_input(SALE.as_bytes())).unwrap()
}

pub(crate) fn credit_note() -> PrintedReceipt {
    PrintedReceipt::read(credit_input(CREDIT_NOTE.as_bytes())).unwrap()
}

/// The sale's request after a change.
pub(crate) fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut request: Value = serde_json::from_str(SALE).unwrap();
    change(&mut request);
    serde_json::to_vec(&request).unwrap()
}

/// A sale of so many exempt lines, each of one shilling.
pub(crate) fn long_sale(lines: usize, name: &str) -> Vec<u8> {
    changed(|request| {
        let line = json!({
            "itemNm": name, "prc": 1, "qty": 1, "splyAmt": 1, "dcRt": 0, "dcAmt": 0,
            "taxTyCd": "A", "taxblAmt": 1, "taxAmt": 0, "totAmt": 1,
        });
        request["itemList"] = Value::Array(vec![line; lines]);
        request["totItemCnt"] = json!(lines);
        request["taxblAmtA"] = json!(lines);
        request["taxblAmtB"] = json!(0);
        request["taxAmtB"] = json!(0);
        request["totTaxblAmt"] = json!(lines);
        request["totTaxAmt"] = json!(0);
        request["totAmt"] = json!(lines);
    })
}
