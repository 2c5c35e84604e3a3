//! Request bodies, byte for byte, and against the facts gathered from KRA's own traffic.

use jiff::Timestamp;
use risiti_domain::{
    Buyer, BuyerName, Dialect, InvoiceKind, KraPin, PaymentMethod, Phone, TaxType,
};
use risiti_etims::{SaleDocument, sale_body};
use serde_json::{Value, json};

use crate::fixture::{facts, profile};

const INVOICE: &str = "0192f3c4-5d6e-7a8b-9c0d-1e2f3a4b5c6d";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The sale of file 02: KES 1,160.00 over M-Pesa.
fn sale() -> SaleDocument {
    SaleDocument {
        invoice_id: INVOICE.parse().unwrap(),
        invoice_no: 1,
        kind: InvoiceKind::Sale,
        original_invoice_no: None,
        trader_invoice_no: "TILL1-000001".to_owned(),
        total: "1160.00".parse().unwrap(),
        buyer: Buyer::default(),
        phone: Phone::parse("0708374149"),
        method: PaymentMethod::MobileMoney,
        occurred_at: time("2026-03-05T11:15:00Z"),
        refunded_at: None,
        first_sent_at: time("2026-03-05T11:15:00Z"),
    }
}

/// The credit note of file 08: half of the sale is given back a day later.
fn credit_note() -> SaleDocument {
    SaleDocument {
        invoice_no: 2,
        kind: InvoiceKind::CreditNote,
        original_invoice_no: Some(1),
        trader_invoice_no: "TILL1-CN-000001".to_owned(),
        total: "580.00".parse().unwrap(),
        refunded_at: Some(time("2026-03-06T07:10:00Z")),
        first_sent_at: time("2026-03-06T07:10:00Z"),
        ..sale()
    }
}

fn body(dialect: Dialect, document: &SaleDocument) -> Value {
    serde_json::from_slice(&sale_body(&profile(dialect, "http://kra.test"), document)).unwrap()
}

/// Puts each field on a line of its own, every digit as sent.
fn lines(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap().replace(",\"", ",\n\"") + "\n"
}

#[test]
fn golden_bodies_are_unchanged() {
    let odd = SaleDocument {
        total: "100.00".parse().unwrap(),
        phone: None,
        ..sale()
    };
    for dialect in Dialect::ALL {
        for (name, document) in [
            ("sale", &sale()),
            ("credit_note", &credit_note()),
            ("odd_sale", &odd),
        ] {
            let path = format!(
                "{}/tests/golden/{dialect}_{name}.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let sent = lines(sale_body(&profile(*dialect, "http://kra.test"), document));
            if std::env::var_os("RISITI_BLESS").is_some() {
                std::fs::write(&path, &sent).unwrap();
            }
            assert_eq!(sent, std::fs::read_to_string(&path).unwrap(), "{path}");
        }
    }
}

/// The body of a fact, with what differs on purpose: our id in the remark, a name for the buyer, and
/// one line of quantity 1.
fn expected(file: &str, total: u32) -> Value {
    let mut expected = facts(file);
    expected["remark"] = json!(INVOICE);
    expected["custNm"] = json!("N/A");
    for field in ["regrId", "regrNm", "modrId", "modrNm"] {
        expected[field] = json!("risiti");
    }
    expected["receipt"]["adrs"] = Value::Null;
    expected["itemList"][0]["qty"] = json!(1);
    expected["itemList"][0]["prc"] = json!(total);
    expected
}

#[test]
fn a_body_has_every_field_of_the_facts_and_no_other() {
    for dialect in [Dialect::Legacy, Dialect::Gateway] {
        assert_eq!(
            body(dialect, &sale()),
            expected("02_sales_request_mpesa_1160.json", 1160)
        );
        assert_eq!(
            body(dialect, &credit_note()),
            expected("08_credit_note_request.json", 580)
        );
    }
}

#[test]
fn a_vscu_gets_no_null_buyer() {
    let mut expected = expected("02_sales_request_mpesa_1160.json", 1160);
    expected.as_object_mut().unwrap().remove("custTin");
    expected["receipt"]
        .as_object_mut()
        .unwrap()
        .remove("custTin");
    assert_eq!(body(Dialect::Vscu, &sale()), expected);
}

#[test]
fn buyers_name_and_pin_are_sent() {
    let buyer = Buyer {
        name: BuyerName::parse("Upendo Traders Ltd").unwrap(),
        pin: KraPin::parse("P059876543Z"),
    };
    for dialect in Dialect::ALL {
        for document in [sale(), credit_note()] {
            let buyer = buyer.clone();
            let body = body(*dialect, &SaleDocument { buyer, ..document });
            assert_eq!(body["custNm"], "Upendo Traders Ltd");
            assert_eq!(body["custTin"], "P059876543Z");
            assert_eq!(body["receipt"]["custTin"], "P059876543Z");
        }
    }
}

#[test]
fn only_full_phone_numbers_are_sent() {
    for phone in [
        None,
        Phone::parse("2547 ***** 149"),
        Phone::parse(&"ab".repeat(32)),
    ] {
        let body = body(Dialect::Gateway, &SaleDocument { phone, ..sale() });
        assert_eq!(body["receipt"].get("custMblNo"), None);
    }
}

#[test]
fn late_filing_keeps_the_payments_own_time() {
    let late = SaleDocument {
        first_sent_at: time("2026-03-09T20:59:59Z"),
        ..sale()
    };
    let body = body(Dialect::Gateway, &late);
    assert_eq!(body["cfmDt"], "20260305141500");
    assert_eq!(body["salesDt"], "20260305");
    assert_eq!(body["stockRlsDt"], "20260305141500");
    assert_eq!(body["receipt"]["rcptPbctDt"], "20260309235959");
}

#[test]
fn no_time_is_in_the_future() {
    let sent = time("2026-03-05T21:00:00Z");
    let ahead = time("2026-03-07T00:00:00Z");
    let sale = SaleDocument {
        occurred_at: ahead,
        first_sent_at: sent,
        ..sale()
    };
    assert_eq!(body(Dialect::Gateway, &sale)["cfmDt"], "20260306000000");
    assert_eq!(body(Dialect::Gateway, &sale)["salesDt"], "20260306");
    let note = SaleDocument {
        refunded_at: Some(ahead),
        first_sent_at: sent,
        ..credit_note()
    };
    assert_eq!(body(Dialect::Gateway, &note)["rfdDt"], "20260306000000");
}

#[test]
fn a_credit_note_is_never_before_its_sale() {
    let note = SaleDocument {
        refunded_at: Some(time("2026-03-05T11:00:00Z")),
        ..credit_note()
    };
    assert_eq!(body(Dialect::Gateway, &note)["rfdDt"], "20260305141500");
    let unknown = SaleDocument {
        refunded_at: None,
        ..credit_note()
    };
    assert_eq!(body(Dialect::Gateway, &unknown)["cfmDt"], "20260306101000");
}

#[test]
fn each_payment_method_has_its_code() {
    for (method, code) in [
        (PaymentMethod::MobileMoney, "06"),
        (PaymentMethod::Card, "05"),
        (PaymentMethod::Bank, "04"),
        (PaymentMethod::Other, "07"),
    ] {
        assert_eq!(
            body(Dialect::Gateway, &SaleDocument { method, ..sale() })["pmtTyCd"],
            code
        );
    }
}

#[test]
fn unused_rates_are_sent_and_sums_go_to_their_type() {
    for (column, tax_type) in TaxType::ALL.iter().enumerate() {
        let mut profile = profile(Dialect::Gateway, "http://kra.test");
        profile.item.tax_type = *tax_type;
        let body: Value = serde_json::from_slice(&sale_body(&profile, &sale())).unwrap();
        let taxable = [
            json!(1160),
            json!(1000),
            json!(1160),
            json!(1160),
            json!(1074.07),
        ];
        let tax = [json!(0), json!(160), json!(0), json!(0), json!(85.93)];
        for (other, letter) in TaxType::ALL.iter().enumerate() {
            let used = |sums: &[Value; 5]| {
                if other == column {
                    sums[column].clone()
                } else {
                    json!(0)
                }
            };
            assert_eq!(
                body[format!("taxRt{letter}")],
                json!([0, 16, 0, 0, 8][other])
            );
            assert_eq!(body[format!("taxblAmt{letter}")], used(&taxable));
            assert_eq!(body[format!("taxAmt{letter}")], used(&tax));
        }
        assert_eq!(body["totTaxblAmt"], taxable[column]);
        assert_eq!(body["totTaxAmt"], tax[column]);
        assert_eq!(body["itemList"][0]["taxTyCd"], tax_type.as_str());
    }
}

#[test]
fn texts_are_cut_to_the_length_of_their_field() {
    let mut profile = profile(Dialect::Gateway, "http://kra.test");
    profile.trade_name = Some("é".repeat(300));
    profile.item.name = "ü".repeat(300);
    profile.item.code = "K".repeat(300);
    profile.item.class = "5".repeat(300);
    let document = SaleDocument {
        trader_invoice_no: "ñ".repeat(300),
        ..sale()
    };
    let body: Value = serde_json::from_slice(&sale_body(&profile, &document)).unwrap();
    let length = |field: &Value| field.as_str().unwrap().chars().count();
    assert_eq!(length(&body["trdInvcNo"]), 50);
    assert_eq!(length(&body["receipt"]["trdeNm"]), 20);
    assert_eq!(length(&body["itemList"][0]["itemNm"]), 200);
    assert_eq!(length(&body["itemList"][0]["itemCd"]), 20);
    assert_eq!(length(&body["itemList"][0]["itemClsCd"]), 10);
}

#[test]
fn the_same_document_makes_the_same_bytes() {
    let profile = profile(Dialect::Gateway, "http://kra.test");
    assert_eq!(sale_body(&profile, &sale()), sale_body(&profile, &sale()));
}
