//! The sales of a supplier that KRA seeds for a device, as its list of purchases shows them.

use serde_json::{Map, Value, json};

/// A tax-inclusive line in whole shillings, which all split without cents.
struct Line {
    tax_type: &'static str,
    item: &'static str,
    name: &'static str,
    total: i64,
}

/// A sale to the taxpayer.
pub(crate) struct SupplierInvoice {
    pub(crate) tin: &'static str,
    pub(crate) bhf: &'static str,
    pub(crate) name: &'static str,
    pub(crate) number: i64,
    lines: &'static [Line],
}

const fn line(tax_type: &'static str, item: &'static str, name: &'static str, total: i64) -> Line {
    Line {
        tax_type,
        item,
        name,
        total,
    }
}

/// The lines of five sales: each rate alone, and two rates in one.
const SALES: [&[Line]; 5] = [
    &[line("B", "KE2NTNO0000001", "Cooking oil, carton", 1160)],
    &[line("A", "KE2NTKG0000002", "Maize flour", 500)],
    &[line("C", "KE2NTNO0000003", "School exercise books", 750)],
    &[line("D", "KE3NTNO0000004", "Delivery outside VAT", 300)],
    &[
        line("B", "KE2NTNO0000001", "Cooking oil, bottle", 580),
        line("C", "KE2NTNO0000003", "School exercise books", 200),
    ],
];

/// The five sales, all of one supplier.
pub(crate) fn seeded_invoices() -> Vec<SupplierInvoice> {
    SALES
        .iter()
        .zip(101..)
        .map(|(lines, number)| SupplierInvoice {
            tin: "P052000111Z",
            bhf: "00",
            name: "Umoja Wholesalers Limited",
            number,
            lines,
        })
        .collect()
}

impl Line {
    /// The taxable amount and the tax. 16 % is in the amounts of type B.
    fn split(&self) -> (i64, i64) {
        let taxable = match self.tax_type {
            "B" => self.total * 25 / 29,
            _ => self.total,
        };
        (taxable, self.total - taxable)
    }

    /// `splyAmt` is net here, other than in a sale or purchase. Seen live.
    fn row(&self, sequence: i64) -> Value {
        let (taxable, tax) = self.split();
        json!({
            "itemSeq": sequence,
            "itemCd": self.item,
            "itemClsCd": "1010000000",
            "itemNm": self.name,
            "bcd": null,
            "pkgUnitCd": "NT",
            "pkg": 1,
            "qtyUnitCd": "NO",
            "qty": 1,
            "prc": self.total,
            "splyAmt": taxable,
            "dcRt": 0,
            "dcAmt": 0,
            "taxTyCd": self.tax_type,
            "taxblAmt": taxable,
            "taxAmt": tax,
            "totAmt": self.total,
        })
    }
}

impl SupplierInvoice {
    pub(crate) fn row(&self) -> Value {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .zip(1..)
            .map(|(line, sequence)| line.row(sequence))
            .collect();
        let mut row = Map::new();
        let texts = [
            ("spplrTin", json!(self.tin)),
            ("spplrNm", json!(self.name)),
            ("spplrBhfId", json!(self.bhf)),
            ("spplrInvcNo", json!(self.number)),
            ("spplrSdcId", json!("KRACU0400000077")),
            ("spplrMrcNo", json!("WIS00000077")),
            ("rcptTyCd", json!("S")),
            ("pmtTyCd", json!("01")),
            ("cfmDt", json!("2026-03-05 14:15:00")),
            ("stockRlsDt", json!("2026-03-05 14:15:00")),
            ("salesDt", json!("20260305")),
            ("totItemCnt", json!(lines.len())),
            ("remark", json!("Completed by Automated User")),
            ("itemList", Value::Array(lines)),
        ];
        row.extend(texts.map(|(name, value)| (name.to_owned(), value)));
        self.add_sums(&mut row);
        Value::Object(row)
    }

    /// Adds the tax fields. The sandbox has 0 for the rate of type E.
    fn add_sums(&self, row: &mut Map<String, Value>) {
        let mut totals = (0, 0);
        for (tax_type, rate) in [("A", 0), ("B", 16), ("C", 0), ("D", 0), ("E", 0)] {
            let of_type = self.lines.iter().filter(|line| line.tax_type == tax_type);
            let (taxable, tax) = of_type
                .map(Line::split)
                .fold((0, 0), |sum, split| (sum.0 + split.0, sum.1 + split.1));
            row.insert(format!("taxblAmt{tax_type}"), json!(taxable));
            row.insert(format!("taxRt{tax_type}"), json!(rate));
            row.insert(format!("taxAmt{tax_type}"), json!(tax));
            totals = (totals.0 + taxable, totals.1 + tax);
        }
        row.insert("totTaxblAmt".to_owned(), json!(totals.0));
        row.insert("totTaxAmt".to_owned(), json!(totals.1));
        row.insert("totAmt".to_owned(), json!(totals.0 + totals.1));
    }
}
