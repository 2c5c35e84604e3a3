//! The users who registered and last modified a row, which every write names.

use crate::fields::Fields;
use crate::refusal::{Refusal, RefusalKind};

pub(crate) const WHO: [&str; 4] = ["regrId", "regrNm", "modrId", "modrNm"];

/// Checks these of the four fields. One refusal names all that are absent, as it was seen live.
pub(crate) fn check_users(fields: &Fields<'_>, names: &[&str]) -> Result<(), Refusal> {
    let mut missing = String::new();
    for name in names {
        let max = if name.ends_with("Id") { 20 } else { 60 };
        if fields.optional_text(name, max)?.is_none() {
            missing += &format!("[<{name}> : may not be empty]");
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let text = format!("Request parameter error{missing}");
    Err(Refusal::new(
        RefusalKind::Fields,
        "910",
        &text,
        text.clone(),
    ))
}
