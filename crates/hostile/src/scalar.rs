//! Values that are known to break parsers.

use proptest::prelude::*;
use proptest::sample::select;

use crate::Json;

/// A mark within made-up texts. If it appears in an error or a log, a value was echoed.
pub const CANARY: &str = "hush4f";

/// Numbers as JSON writes them, and near misses that it does not.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "0.0",
    "1",
    "-1",
    "1.0",
    "1500.10",
    "0.1",
    "0.30000000000000004",
    "1.005",
    "2.675",
    "0.005",
    "0.0049999999999999999999",
    "999999999999.99",
    "999999999999.995",
    "1000000000000",
    "1e11",
    "1e12",
    "1E+2",
    "1e-2",
    "15e-1",
    "1e308",
    "1e309",
    "1e-400",
    "1e99999",
    "1e999999999999",
    "123456789012345678901234567890",
    "0.99999999999999999999999999999",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "254708374149",
    "2.54708374149E11",
    "20260928101529",
    // These are not JSON.
    "01",
    "+1",
    ".5",
    "1.",
    "0x10",
    "1_000",
    "NaN",
    "Infinity",
    "-",
    "1e",
    "--1",
    "1,000",
];

const WORDS: &[&str] = &[
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "{\"\":null}",
    "nul",
    "True",
    "undefined",
    "''",
    "",
];

/// The texts of strings, without their quotes.
const STRINGS: &[&str] = &[
    "",
    " ",
    "0",
    " 0 ",
    "00",
    "0.00",
    "1500.10",
    "1,500.10",
    "1500,10",
    "1 500",
    "KES 1500",
    "-1",
    "1e2",
    "1e400",
    "٣",
    "１００",
    "\\u0031\\u0030",
    "null",
    "true",
    "success",
    "Completed",
    "charge.success",
    "sale",
    "KES",
    "kes",
    "USD",
    "KSHS",
    "\\u0000",
    "a\\u0000b",
    "\\ud800",
    "\\ud83d\\ude00",
    "\\ude00\\ud83d",
    "\\uFEFF1",
    "\\u200b",
    "1\\u200b",
    "\\u202e1",
    "é",
    "e\\u0301",
    "\u{1f600}",
    "\\n",
    "\\\\",
    "\\/",
    "\\x41",
    "\\",
    "\t",
    "\u{7f}",
    "'; DROP TABLE payments; --",
    "${jndi:ldap://x}",
    "%00",
    "%s%n",
    "../../etc/passwd",
    "<script>",
    "254708374149",
    "+254 708 374149",
    "hush4f",
    "sk_live_hush4f",
];

/// One value as it could be in a body, of any type and length, well formed or not.
pub fn scalar() -> impl Strategy<Value = Json> {
    let quoted = |text: &str| format!("\"{text}\"");
    prop_oneof![
        4 => select(NUMBERS).prop_map(str::to_owned),
        2 => select(NUMBERS).prop_map(quoted),
        2 => select(WORDS).prop_map(str::to_owned),
        4 => select(STRINGS).prop_map(quoted),
        1 => "[0-9]{1,15}(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?",
        1 => ".{0,20}".prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => (0usize..300, select(vec!["9", "a", "é", "\\u0000", " ", "0"])).prop_map(|(n, unit)| format!("\"{}\"", unit.repeat(n))),
        1 => (0usize..300).prop_map(|n| "9".repeat(n.max(1))),
        1 => (1usize..300, any::<bool>()).prop_map(|(n, closed)| nested(n, closed)),
    ]
    .prop_map(Json::Leaf)
}

fn nested(depth: usize, closed: bool) -> String {
    let end = if closed {
        "]".repeat(depth)
    } else {
        String::new()
    };
    "[".repeat(depth) + &end
}
