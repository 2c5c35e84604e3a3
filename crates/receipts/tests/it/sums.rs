//! Rows that do not add up are never printed.

use proptest::prelude::*;
use risiti_receipts::{PrintedReceipt, ReceiptError, TextCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::fixture::{changed, sale_input};

/// Every amount of the sale that another one must agree with.
const AMOUNTS: &[&str] = &[
    "/totItemCnt",
    "/taxblAmtA",
    "/taxblAmtB",
    "/taxblAmtC",
    "/taxblAmtD",
    "/taxblAmtE",
    "/taxAmtA",
    "/taxAmtB",
    "/taxAmtC",
    "/taxAmtD",
    "/taxAmtE",
    "/totTaxblAmt",
    "/totTaxAmt",
    "/totAmt",
    "/itemList/0/taxblAmt",
    "/itemList/0/taxAmt",
    "/itemList/1/totAmt",
    "/itemList/1/splyAmt",
    "/itemList/1/dcAmt",
    "/itemList/1/taxblAmt",
    "/itemList/2/taxblAmt",
    "/itemList/2/totAmt",
];

#[test]
fn every_amount_that_is_off_refuses_the_receipt() {
    for pointer in AMOUNTS {
        let request = changed(|request| {
            let amount = request.pointer_mut(pointer).unwrap();
            *amount = json!(amount.as_i64().unwrap() + 1);
        });
        let error = PrintedReceipt::read(sale_input(&request)).unwrap_err();
        assert!(matches!(error, ReceiptError::Sums(_)), "{pointer}: {error}");
    }
}

#[test]
fn a_tax_type_that_moves_refuses_the_receipt() {
    let request = changed(|request| request["itemList"][2]["taxTyCd"] = json!("D"));
    assert!(matches!(
        PrintedReceipt::read(sale_input(&request)),
        Err(ReceiptError::Sums(_))
    ));
    let request = changed(|request| request["itemList"][2]["taxTyCd"] = json!("F"));
    assert_eq!(
        PrintedReceipt::read(sale_input(&request)).unwrap_err(),
        ReceiptError::TaxType
    );
}

const LETTERS: [&str; 5] = ["A", "B", "C", "D", "E"];

/// One line as `risiti-etims` splits it: price in cents, quantity, percent off, letter.
type Sold = (u32, u32, u32, usize);

fn decimal(cents: i64) -> Value {
    json!(Decimal::new(cents, 2).to_string())
}

fn request(sold: &[Sold]) -> Vec<u8> {
    let rates = [0, 16, 0, 0, 8];
    let (mut taxable, mut taxes) = ([0i64; 5], [0i64; 5]);
    let mut lines = Vec::new();
    for (price, quantity, percent, letter) in sold {
        let supply = i64::from(*price) * i64::from(*quantity);
        let discount = supply * i64::from(*percent) / 100;
        let total = supply - discount;
        let without = total * 100 / (100 + rates[*letter]);
        taxable[*letter] += without;
        taxes[*letter] += total - without;
        lines.push(json!({
            "itemNm": "Item", "prc": decimal(i64::from(*price)), "qty": quantity,
            "splyAmt": decimal(supply), "dcRt": percent, "dcAmt": decimal(discount),
            "taxTyCd": LETTERS[*letter],
            "taxblAmt": decimal(without), "taxAmt": decimal(total - without),
            "totAmt": decimal(total),
        }));
    }
    changed(|request| {
        for (column, letter) in LETTERS.iter().enumerate() {
            request[format!("taxblAmt{letter}")] = decimal(taxable[column]);
            request[format!("taxRt{letter}")] = json!(rates[column]);
            request[format!("taxAmt{letter}")] = decimal(taxes[column]);
        }
        request["totTaxblAmt"] = decimal(taxable.iter().sum());
        request["totTaxAmt"] = decimal(taxes.iter().sum());
        request["totAmt"] = decimal(taxable.iter().chain(&taxes).sum());
        request["totItemCnt"] = json!(lines.len());
        request["itemList"] = Value::Array(lines);
    })
}

/// The amount at the right end of a line, as printed, brackets being a minus.
fn printed(line: &str) -> Decimal {
    let word = line.split_whitespace().last().unwrap();
    let number = word.trim_end_matches(|c: char| c.is_ascii_uppercase() || c == '-');
    match number.strip_prefix('(') {
        Some(bracketed) => -bracketed.trim_end_matches(')').parse::<Decimal>().unwrap(),
        None => number.parse().unwrap(),
    }
}

proptest! {
    /// Checked on the printed text alone, as the buyer would with a pencil.
    #[test]
    fn printed_rows_add_up(
        sold in proptest::collection::vec((1u32..1_000_000, 1u32..100, 0u32..100, 0usize..5), 1..30)
    ) {
        let request = request(&sold);
        let text = PrintedReceipt::read(sale_input(&request)).unwrap().to_text(TextCode::Marker);
        let blocks: Vec<&str> = text.split(&"-".repeat(48)).collect();
        let [items, totals, _, table] = [blocks[1], blocks[2], blocks[3], blocks[4]];
        let total = |label: &str| printed(totals.lines().find(|line| line.starts_with(label)).unwrap());

        let lines = items.lines().filter(|line| line.contains(" x ") || line.contains('%'));
        prop_assert_eq!(lines.map(printed).sum::<Decimal>(), total("TOTAL (KES)"));
        let columns = |index: usize| {
            let rows = table.lines().filter(|line| line.contains('.'));
            rows.map(|line| {
                let words: Vec<&str> = line.split_whitespace().rev().collect();
                words[index].parse::<Decimal>().unwrap()
            }).sum::<Decimal>()
        };
        prop_assert_eq!(columns(1), total("SUB TOTAL"));
        prop_assert_eq!(columns(0), total("VAT"));
        prop_assert_eq!(total("SUB TOTAL") + total("VAT"), total("TOTAL (KES)"));
    }

    /// Any two amounts that drift apart are found.
    #[test]
    fn an_amount_off_by_a_cent_is_never_printed(index in 0..AMOUNTS.len(), cents in 1i64..1000) {
        let request = changed(|request| {
            let amount = request.pointer_mut(AMOUNTS[index]).unwrap();
            *amount = decimal(amount.as_i64().unwrap() * 100 + cents);
        });
        prop_assert!(PrintedReceipt::read(sale_input(&request)).is_err());
    }
}
