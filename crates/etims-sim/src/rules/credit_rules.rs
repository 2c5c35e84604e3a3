//! What a credit note must be like, beside its fields.
//!
//! That it fits its sale is always checked. The others are rules that some integrators met and
//! others did not, so that each has a switch.

use jiff::ToSpan as _;
use rust_decimal::Decimal;

use crate::config::Config;
use crate::device::Device;
use crate::refusal::Refusal;
use crate::sale::Sale;

/// How far a credit note may miss the rest of its sale, as a part of the sale.
const REST_TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

impl Device {
    /// Checks a credit note against its original sale and the earlier credit notes of that sale.
    pub(crate) fn check_credit(&self, credit: &Sale, config: &Config) -> Result<(), Refusal> {
        let unknown = || {
            Refusal::broken_rule(
                "orgInvcNo does not exist. Please update the field and try again".into(),
            )
        };
        let original = self
            .sales
            .get(&credit.original_no)
            .filter(|filed| !filed.sale.credit)
            .map(|filed| &filed.sale)
            .ok_or_else(unknown)?;
        check_fit(original, credit)?;
        if config.strict_credit_names {
            check_name(original, credit)?;
        }
        if config.strict_credit_age {
            check_age(original, credit)?;
        }

        let earlier = self.credits_of(credit.original_no);
        if config.strict_credit_lines {
            check_lines(original, credit, &earlier)?;
        }
        let rest = original.total - earlier.iter().map(|note| note.total).sum::<Decimal>();
        if credit.total > rest {
            return invalid("totAmt", "credit notes exceed the original sale");
        }
        if config.strict_credit_count {
            check_count(original, credit, earlier.len(), rest)?;
        }
        Ok(())
    }

    /// The credit notes of a sale.
    fn credits_of(&self, number: i64) -> Vec<&Sale> {
        self.sales
            .range(number..)
            .map(|(_, filed)| &filed.sale)
            .filter(|sale| sale.credit && sale.original_no == number)
            .collect()
    }
}

fn invalid(field: &str, problem: &str) -> Result<(), Refusal> {
    Err(Refusal::invalid_field(field, "", problem))
}

fn check_fit(original: &Sale, credit: &Sale) -> Result<(), Refusal> {
    if original.buyer != credit.buyer {
        return invalid("custTin", "is not the buyer of the original sale");
    }
    if credit.day < original.day {
        return invalid("salesDt", "is before the original sale");
    }
    Ok(())
}

/// KRA's server failed over a name that was null, and said so under 400.
fn check_name(original: &Sale, credit: &Sale) -> Result<(), Refusal> {
    let (Some(sold_to), Some(credited_to)) = (&original.buyer_name, &credit.buyer_name) else {
        return Err(Refusal::broken_rule(
            "Expected a value but found null. Possible cause: Cannot invoke \"String.equals(Object)\" because \
             the return value of \"getCustNm()\" is null"
                .into(),
        ));
    };
    if sold_to != credited_to {
        return invalid("custNm", "is not the name of the original sale");
    }
    Ok(())
}

/// No item may be credited more often than it was sold.
fn check_lines(original: &Sale, credit: &Sale, earlier: &[&Sale]) -> Result<(), Refusal> {
    for line in &credit.lines {
        let credited: Decimal = earlier
            .iter()
            .map(|note| note.quantity_of(&line.item))
            .sum();
        let quantity = credited + credit.quantity_of(&line.item);
        if quantity > original.quantity_of(&line.item) {
            let problem = format!("credit notes exceed the quantity of {}", line.item);
            return invalid("qty", &problem);
        }
    }
    Ok(())
}

fn check_age(original: &Sale, credit: &Sale) -> Result<(), Refusal> {
    let latest = original.day.checked_add(6.months());
    if latest.is_ok_and(|latest| credit.day > latest) {
        return Err(Refusal::broken_rule(
            "A credit note can only be issued within six months of the invoice".into(),
        ));
    }
    Ok(())
}

fn check_count(
    original: &Sale,
    credit: &Sale,
    earlier: usize,
    rest: Decimal,
) -> Result<(), Refusal> {
    if earlier >= 2 {
        return Err(Refusal::broken_rule(
            "The maximum number of credit notes for this invoice has been reached".into(),
        ));
    }
    if earlier == 1 && rest - credit.total > original.total * REST_TOLERANCE {
        return Err(Refusal::broken_rule(
            "The second credit note must be for the remaining amount of the invoice".into(),
        ));
    }
    Ok(())
}
