//! The values that the simulator makes up. Each is drawn from a seed and the names of what it is
//! for, so a run repeats its keys, signatures and faults however its threads interleave.

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// A hash of the parts: FNV-1a, finished by a round of splitmix64.
pub(crate) fn hash(seed: u64, parts: &[&str]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    mix(state)
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// A number that is evenly spread over `0.0..1.0`.
pub(crate) fn fraction(seed: u64, parts: &[&str]) -> f64 {
    (hash(seed, parts) >> 11) as f64 / (1u64 << 53) as f64
}

pub(crate) fn base32(seed: u64, what: &str, parts: &[&String], length: usize) -> String {
    text(seed, what, parts, length, BASE32)
}

pub(crate) fn hex(seed: u64, what: &str, parts: &[&String], length: usize) -> String {
    text(seed, what, parts, length, HEX)
}

pub(crate) fn digits(seed: u64, what: &str, parts: &[&String], length: usize) -> String {
    text(seed, what, parts, length, b"0123456789")
}

/// A text in the shape of a UUID.
pub(crate) fn uuid(seed: u64, what: &str, parts: &[&String]) -> String {
    let hex = hex(seed, what, parts, 32).to_lowercase();
    format!(
        "{}-{}-4{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

fn text(seed: u64, what: &str, parts: &[&String], length: usize, alphabet: &[u8]) -> String {
    let mut hashed = vec![what];
    hashed.extend(parts.iter().map(|part| part.as_str()));
    let mut state = hash(seed, &hashed);
    let letters = (0..length).map(|_| {
        state = mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15));
        alphabet[(state >> 33) as usize % alphabet.len()] as char
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_the_seed_and_on_each_part() {
        let parts = ["P000000001A".to_owned(), "00".to_owned()];
        let parts: Vec<_> = parts.iter().collect();
        assert_eq!(
            base32(1, "signature", &parts, 16),
            base32(1, "signature", &parts, 16)
        );
        assert_ne!(
            base32(1, "signature", &parts, 16),
            base32(2, "signature", &parts, 16)
        );
        assert_ne!(hash(1, &["ab", "c"]), hash(1, &["a", "bc"]));
    }

    #[test]
    fn fractions_spread_evenly() {
        let hits = (0..10_000)
            .filter(|n| fraction(7, &[&n.to_string()]) < 0.1)
            .count();
        assert!((900..1100).contains(&hits), "{hits}");
    }

    #[test]
    fn texts_have_the_right_alphabet_and_length() {
        let sign = base32(1, "signature", &[], 26);
        assert_eq!(sign.len(), 26);
        assert!(sign.bytes().all(|byte| BASE32.contains(&byte)));
        assert_eq!(uuid(1, "app", &[]).len(), 36);
    }
}
