//! The items that a fresh PIN of KRA's sandbox may hold. Their codes end with eight digits.

use serde_json::json;

use crate::clock;
use crate::codes::ITEM_CLASSES;
use crate::fields::Fields;
use crate::records::kept::Row;
use crate::records::taxpayer::{Item, Numbered, Taxpayer};

const PREFIX: &str = "KE2NTNO";

/// Adds the first `count` items, which are goods of tax type B, and takes their numbers.
pub(crate) fn seed(taxpayer: &mut Taxpayer, bhf: &str, count: u16) {
    for number in 1..=count {
        let code = format!("{PREFIX}{number:08}");
        // A PIN that is full keeps what it has, as any full table does.
        let _ = taxpayer.items.put(code.clone(), item(&code, bhf));
    }
    for prefix in [None, Some(PREFIX.to_owned())] {
        let numbered = Numbered::Items { prefix };
        let last = i64::from(count).max(taxpayer.next_number(&numbered) - 1);
        taxpayer.take_number(numbered, last);
    }
}

fn item(code: &str, bhf: &str) -> Item {
    let class = ITEM_CLASSES[3];
    let body = json!({
        "itemCd": code,
        "itemClsCd": class,
        "itemTyCd": "2",
        "itemNm": format!("Seeded goods {code}"),
        "orgnNatCd": "KE",
        "pkgUnitCd": "NT",
        "qtyUnitCd": "NO",
        "taxTyCd": "B",
        "dftPrc": 0,
        "isrcAplcbYn": "N",
        "useYn": "Y",
    })
    .to_string();
    let fields = Fields::of_body_or_empty(body.as_bytes());
    Item {
        service: false,
        class: class.to_owned(),
        tax_type: "B".to_owned(),
        bhf: bhf.to_owned(),
        row: Row::new(&fields, clock::now()),
    }
}
