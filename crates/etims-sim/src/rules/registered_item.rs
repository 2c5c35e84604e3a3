//! An item in a document must be as it was registered.

use crate::records::taxpayer::Taxpayer;
use crate::refusal::Refusal;

/// Checks that the item is registered, under this class and tax type.
pub(crate) fn check(
    taxpayer: &Taxpayer,
    code: &str,
    class: &str,
    tax_type: &str,
) -> Result<(), Refusal> {
    let item = taxpayer.item(code)?;
    if item.class != class {
        let problem = format!("is not that of item {code}");
        return Err(Refusal::invalid_field("itemClsCd", "", &problem));
    }
    if item.tax_type != tax_type {
        // KRA has the same words for a wrong branch.
        return Err(Refusal::broken_rule(
            "Error occurred while validating item tax type: Please try again later".into(),
        ));
    }
    Ok(())
}
