//! KRA's code lists (OSCU specification, chapter 4) and the call that reads them.

use serde_json::{Value, json};

use crate::tax::{Rates, TYPES};

pub(crate) const SALES_TYPES: [&str; 4] = ["N", "C", "P", "T"];
pub(crate) const PAYMENT_TYPES: [&str; 7] = ["01", "02", "03", "04", "05", "06", "07"];
pub(crate) const REFUND_REASONS: [&str; 6] = ["01", "02", "03", "04", "05", "06"];

/// What goes in (01 to 06) and what goes out (11 to 16).
pub(crate) const STOCK_MOVEMENTS: [&str; 12] = [
    "01", "02", "03", "04", "05", "06", "11", "12", "13", "14", "15", "16",
];
pub(crate) const ITEM_TYPES: [&str; 3] = ["1", "2", "3"];
/// Whether a person or a program registered something.
pub(crate) const REGISTRATION_TYPES: [&str; 2] = ["A", "M"];
pub(crate) const PURCHASE_RECEIPTS: [&str; 2] = ["P", "R"];
pub(crate) const IMPORT_STATES: [&str; 4] = ["1", "2", "3", "4"];

pub(crate) const UNITS: [&str; 43] = [
    "4B", "AV", "BA", "BE", "BG", "BL", "BLL", "BX", "CA", "CEL", "CMT", "CR", "DR", "DZ", "GLL",
    "GRM", "GRO", "KG", "KTM", "KWT", "L", "LBR", "LK", "LTR", "M", "M2", "M3", "MGM", "MTR",
    "MWT", "NO", "NX", "PA", "PG", "PR", "RL", "RO", "SET", "ST", "TNE", "TU", "U", "YRD",
];

pub(crate) const PACKAGES: [&str; 52] = [
    "AM", "BA", "BC", "BE", "BF", "BG", "BJ", "BK", "BL", "BQ", "BR", "BV", "BZ", "CA", "CH", "CJ",
    "CL", "CR", "CS", "CT", "CTN", "CY", "DR", "GT", "HH", "IZ", "JR", "JU", "JY", "KZ", "LZ",
    "NT", "OU", "PD", "PG", "PI", "PO", "PU", "RL", "RO", "RZ", "SK", "TY", "VG", "VL", "VO", "VQ",
    "VR", "VT", "VY", "ML", "TN",
];

/// The item classes of KRA's sandbox: the root, live animals, and zero-rated goods.
pub(crate) const ITEM_CLASSES: [&str; 26] = [
    "1000000000",
    "1010000000",
    "1010150000",
    "1010150100",
    "1010150200",
    "1010150300",
    "1010150400",
    "1010150500",
    "1010150600",
    "1010150700",
    "1010150800",
    "1010150900",
    "1010151000",
    "1010151100",
    "1010151200",
    "1010151300",
    "1010151400",
    "1010151500",
    "1010151600",
    "1010160000",
    "1010160100",
    "1010160200",
    "1010160300",
    "1010160400",
    "1010160500",
    "9901200000",
];

/// Packages that occur in item codes only. Item codes are the taxpayer's own, and some spell a
/// package longer than its code.
const PACKAGES_OF_ITEMS: [&str; 1] = ["NTX"];

/// Whether the code is country, item type, package, unit and running number. A unit of one letter
/// is valid in a sale, but does not work inside an item code.
pub(crate) fn is_item_code(code: &str) -> bool {
    let bytes = code.as_bytes();
    if bytes.len() < 8
        || !bytes[..2].iter().all(u8::is_ascii_uppercase)
        || !(b'1'..=b'3').contains(&bytes[2])
    {
        return false;
    }
    let Some(rest) = code.get(3..) else {
        return false;
    };
    let packages = PACKAGES.iter().chain(&PACKAGES_OF_ITEMS);
    let after_package = packages.filter_map(|package| rest.strip_prefix(package));
    let mut after_unit = after_package.flat_map(|rest| {
        UNITS
            .iter()
            .filter(|unit| unit.len() > 1)
            .filter_map(|unit| rest.strip_prefix(unit))
    });
    after_unit.any(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The answer of the code list call, with the tax rates.
pub(crate) fn code_list(rates: Rates) -> Value {
    let tax_types = TYPES.iter().enumerate().map(|(index, name)| {
        let rate = rates.percent(index).normalize().to_string();
        entry(name, &format!("{name} ({rate}%)"), index, Some(rate))
    });
    let lists = [
        ("04", "Taxation Type", tax_types.collect()),
        ("07", "Payment Type", entries(&PAYMENT_TYPES)),
        ("05", "Country", entries(&["KE", "UG", "TZ", "CN", "IN"])),
        ("10", "Quantity Unit", entries(&UNITS)),
        (
            "11",
            "Sales Status",
            entries(&["01", "02", "03", "04", "05", "06"]),
        ),
        ("12", "Stock In/Out Type", entries(&STOCK_MOVEMENTS)),
        ("14", "Sales Type", entries(&SALES_TYPES)),
        ("17", "Packing Unit", listed_packages()),
        ("24", "Item Type", entries(&ITEM_TYPES)),
        ("31", "Registration Type", entries(&REGISTRATION_TYPES)),
        ("32", "Refund Reason", entries(&REFUND_REASONS)),
        ("37", "Sales Receipt Type", entries(&["S", "R"])),
        ("38", "Purchase Receipt Type", entries(&PURCHASE_RECEIPTS)),
    ];
    let classes = lists
        .into_iter()
        .map(|(class, name, details): (_, _, Vec<Value>)| {
            json!({
                "cdCls": class,
                "cdClsNm": name,
                "cdClsDesc": null,
                "useYn": "Y",
                "userDfnNm1": null,
                "userDfnNm2": null,
                "userDfnNm3": null,
                "dtlList": details,
            })
        });
    json!({ "clsList": classes.collect::<Vec<_>>() })
}

/// The packages of the code list. It has `BX` as usable, which no item may have.
fn listed_packages() -> Vec<Value> {
    let mut packages = PACKAGES.to_vec();
    packages.push("BX");
    entries(&packages)
}

fn entries(codes: &[&str]) -> Vec<Value> {
    codes
        .iter()
        .enumerate()
        .map(|(at, code)| entry(code, code, at, None))
        .collect()
}

fn entry(code: &str, name: &str, at: usize, user_defined: Option<String>) -> Value {
    json!({
        "cd": code,
        "cdNm": name,
        "cdDesc": name,
        "useYn": "Y",
        "srtOrd": at + 1,
        "userDfnCd1": user_defined,
        "userDfnCd2": null,
        "userDfnCd3": null,
    })
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    #[test]
    fn item_code_is_country_type_package_unit_and_number() {
        for right in [
            "KE2NTNO0000001",
            "KE3NTXNO0000001",
            "KE3CTNKG00000012",
            "KE1BATNE1",
        ] {
            assert!(is_item_code(right), "{right}");
        }
        for wrong in [
            "",
            "KE2NTU0000001",
            "KE4NTNO0000001",
            "KE2NTNO",
            "ke2NTNO0000001",
            "KE2ZZNO0000001",
            "KÉ2NTNO01",
        ] {
            assert!(!is_item_code(wrong), "{wrong}");
        }
    }

    #[test]
    fn code_list_has_the_tax_rates() {
        let code_list = code_list(Rates::new(Decimal::ZERO));
        let details = code_list["clsList"][0]["dtlList"].as_array().unwrap();
        let rates: Vec<_> = details
            .iter()
            .map(|detail| detail["userDfnCd1"].as_str().unwrap())
            .collect();
        assert_eq!(rates, ["0", "16", "0", "0", "0"]);
    }
}
