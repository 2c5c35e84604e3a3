//! A second, independent reading of amounts, digit by digit as on paper.

/// Why a text is not an amount.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotAnAmount {
    NotANumber,
    Negative,
    TooLarge,
}

/// The amount in major units with two decimals, rounded half-up. The point is first moved `places`
/// to the left.
pub(crate) fn amount(text: &str, places: i64) -> Result<String, NotAnAmount> {
    let text = text.trim();
    if text.len() > 64 {
        return Err(NotAnAmount::NotANumber);
    }
    let (minus, text) = match text.chars().next() {
        Some('-') => (true, &text[1..]),
        Some('+') => (false, &text[1..]),
        _ => (false, text),
    };
    let e = text.find(['e', 'E']);
    let exponent: i64 = match e {
        Some(at) => text[at + 1..]
            .parse::<i16>()
            .map_err(|_| NotAnAmount::NotANumber)?
            .into(),
        None => 0,
    };
    let mut digits = Vec::new();
    let mut behind = None;
    for c in text[..e.unwrap_or(text.len())].chars() {
        match c {
            '0'..='9' => {
                digits.push(c as u8 - b'0');
                behind = behind.map(|n: i64| n + 1);
            }
            '.' if behind.is_none() => behind = Some(0),
            _ => return Err(NotAnAmount::NotANumber),
        }
    }
    if digits.is_empty() {
        return Err(NotAnAmount::NotANumber);
    }
    if digits.iter().all(|digit| *digit == 0) {
        return Ok("0.00".to_owned());
    }
    if minus {
        return Err(NotAnAmount::Negative);
    }
    // In hundredths, the value is the digits times ten to this power.
    hundredths(digits, exponent - behind.unwrap_or(0) - places + 2)
}

fn hundredths(mut digits: Vec<u8>, mut power: i64) -> Result<String, NotAnAmount> {
    digits.drain(..digits.iter().take_while(|digit| **digit == 0).count());
    if power > 20 {
        return Err(NotAnAmount::TooLarge);
    }
    while power > 0 {
        digits.push(0);
        power -= 1;
    }
    let mut next = 0;
    while power < 0 {
        next = digits.pop().unwrap_or(0);
        power += 1;
        if digits.is_empty() && power < 0 {
            next = 0;
            break;
        }
    }
    if next >= 5 {
        carry(&mut digits);
    }
    if digits.len() > 14 {
        return Err(NotAnAmount::TooLarge);
    }
    let digits: String = digits
        .iter()
        .map(|digit| char::from(b'0' + digit))
        .collect();
    let padded = format!("{digits:0>3}");
    let (whole, cents) = padded.split_at(padded.len() - 2);
    Ok(format!("{whole}.{cents}"))
}

fn carry(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}

#[test]
fn known_amounts_are_read_and_rounded() {
    for (text, places, expected) in [
        ("1500.10", 0, Ok("1500.10")),
        ("0.005", 0, Ok("0.01")),
        ("0.00499999999999999999", 0, Ok("0.00")),
        ("9.995", 0, Ok("10.00")),
        ("150000", 2, Ok("1500.00")),
        ("0.5", 2, Ok("0.01")),
        ("1.5E2", 0, Ok("150.00")),
        ("5e-1", 0, Ok("0.50")),
        ("1e-400", 0, Ok("0.00")),
        ("999999999999.99", 0, Ok("999999999999.99")),
        ("999999999999.995", 0, Err(NotAnAmount::TooLarge)),
        ("1e400", 0, Err(NotAnAmount::TooLarge)),
        ("-1", 0, Err(NotAnAmount::Negative)),
        ("1.2.3", 0, Err(NotAnAmount::NotANumber)),
    ] {
        assert_eq!(amount(text, places), expected.map(str::to_owned), "{text}");
    }
}
