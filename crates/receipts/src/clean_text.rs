//! Texts from the outside world, made fit to print.
//!
//! A buyer's name may be anything. What is printed has no control character, nothing invisible that
//! could reorder or hide its neighbours, a bounded length, and few marks per letter.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Real scripts put at most this many marks on one letter. More of them would run into other lines.
const MARKS_MAX: usize = 3;
/// What shows that a text was cut.
const CUT: &str = "...";

/// Cleans a text and cuts it to `chars_max` characters. The cut is visible.
pub(crate) fn clean(text: &str, chars_max: usize) -> String {
    // A text of many times the length is mostly what is dropped, and is not worth reading on.
    let considered = text.chars().take(chars_max.saturating_mul(4)).nfc();
    let mut cleaned = String::new();
    let mut chars = 0;
    let mut marks = 0;
    let mut blank_due = false;

    for c in considered {
        if is_blank(c) {
            blank_due = !cleaned.is_empty();
            marks = 0;
            continue;
        }
        if is_invisible(c) {
            continue;
        }
        if is_combining_mark(c) {
            marks += 1;
            if marks > MARKS_MAX {
                continue;
            }
        } else {
            marks = 0;
        }
        if blank_due {
            cleaned.push(' ');
            chars += 1;
            blank_due = false;
        }
        cleaned.push(c);
        chars += 1;
        if chars > chars_max {
            return cut(&cleaned, chars_max);
        }
    }
    cleaned
}

/// Cleans a text of which nothing printable may be left, which makes it `None`.
pub(crate) fn clean_some(text: Option<&str>, chars_max: usize) -> Option<String> {
    text.map(|text| clean(text, chars_max))
        .filter(|cleaned| !cleaned.is_empty())
}

fn cut(text: &str, chars_max: usize) -> String {
    let kept: String = text.chars().take(chars_max - CUT.len()).collect();
    format!("{}{CUT}", kept.trim_end())
}

/// Control characters become blanks, the escape that starts a printer's command among them.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// Marks of direction, joiners, soft hyphens, tags and the like. Two joiners stay, because some
/// scripts are spelled with them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn printer_commands_become_blanks() {
        assert_eq!(
            clean("Upendo\u{1b}@\u{1d}V\0 Traders\r\n\tLtd", 60),
            "Upendo @ V Traders Ltd"
        );
    }

    #[test]
    fn nothing_can_reorder_its_neighbours() {
        assert_eq!(clean("\u{202e}00.0001\u{2066}\u{feff}x", 60), "00.0001x");
    }

    #[test]
    fn a_long_text_is_cut_visibly() {
        assert_eq!(clean("Kahawa ya Mlima", 10), "Kahawa...");
        assert_eq!(clean("Kahawa ya M", 11), "Kahawa ya M");
    }

    #[test]
    fn marks_do_not_pile_up() {
        let piled = format!("z{}y", "\u{0316}".repeat(80));
        assert_eq!(clean(&piled, 60).chars().count(), 5);
    }

    #[test]
    fn composed_letters_have_one_spelling() {
        assert_eq!(clean("Cafe\u{301}", 60), "Café");
    }

    proptest! {
        #[test]
        fn any_text_becomes_bounded_and_printable(text in any::<String>(), max in 3usize..80) {
            let cleaned = clean(&text, max);
            prop_assert!(cleaned.chars().count() <= max);
            prop_assert!(!cleaned.contains(|c: char| c.is_control() || is_invisible(c)));
            prop_assert_eq!(cleaned.trim(), &cleaned);
        }
    }
}
