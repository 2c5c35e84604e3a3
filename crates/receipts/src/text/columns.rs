//! Lines of 48 columns: wrapped, centred, or with amounts at the right edge.

/// The columns of an 80 mm roll in a printer's usual font.
pub(crate) const COLUMNS: usize = 48;
/// The right edges of the tax table's amounts.
const TAXABLE_EDGE: usize = 30;
/// What a letter that the printer lacks shows as.
const UNKNOWN: char = '?';

pub(crate) struct Roll {
    lines: String,
    rule: String,
}

impl Roll {
    /// A roll for a copy has the word in every rule, in place of a watermark.
    pub(crate) fn new(copy: bool) -> Self {
        let rule = if copy {
            format!("{:-^COLUMNS$}", " COPY ")
        } else {
            "-".repeat(COLUMNS)
        };
        Self {
            lines: String::new(),
            rule,
        }
    }

    pub(crate) fn finish(self) -> String {
        self.lines
    }

    pub(crate) fn blank(&mut self) {
        self.lines.push('\n');
    }

    pub(crate) fn rule(&mut self) {
        self.lines.push_str(&self.rule);
        self.lines.push('\n');
    }

    /// A text from the left edge, over as many lines as it needs.
    pub(crate) fn text(&mut self, text: &str) {
        for line in wrap(&latin(text), COLUMNS) {
            self.push(&line);
        }
    }

    pub(crate) fn centred(&mut self, text: &str) {
        for line in wrap(&latin(text), COLUMNS) {
            self.push(&format!("{line:^COLUMNS$}"));
        }
    }

    /// A drawing, whose blanks count.
    pub(crate) fn drawn(&mut self, line: &str) {
        self.push(&format!("{line:^COLUMNS$}"));
    }

    /// A label at the left and an amount at the right edge. The amount has a line of its own where
    /// both do not fit one.
    pub(crate) fn pair(&mut self, label: &str, amount: &str) {
        let (label, amount) = (latin(label), latin(amount));
        let amount_width = amount.chars().count();
        let mut lines = wrap(&label, COLUMNS);
        let last = lines.pop().unwrap_or_default();
        for line in &lines {
            self.push(line);
        }
        let last_width = last.chars().count();
        if last_width + 1 + amount_width <= COLUMNS {
            let room = COLUMNS - last_width;
            self.push(&format!("{last}{amount:>room$}"));
        } else {
            self.push(&last);
            self.push(&format!("{amount:>COLUMNS$}"));
        }
    }

    /// A row of the tax table.
    pub(crate) fn triple(&mut self, name: &str, taxable: &str, tax: &str) {
        let room = TAXABLE_EDGE - name.chars().count();
        let rest = COLUMNS - TAXABLE_EDGE;
        self.push(&format!("{name}{taxable:>room$}{tax:>rest$}"));
    }

    fn push(&mut self, line: &str) {
        self.lines.push_str(line.trim_end());
        self.lines.push('\n');
    }
}

/// Shows each letter that is not Latin as a question mark. Printers lack them, and letters of other
/// widths or directions would move the amounts.
fn latin(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            ' '..='~' | '\u{a1}'..='\u{17f}' => c,
            '\u{2018}' | '\u{2019}' => '\'',
            '\u{201c}' | '\u{201d}' => '"',
            '\u{2010}'..='\u{2015}' => '-',
            _ => UNKNOWN,
        })
        .collect()
}

/// Breaks a text at blanks into lines of at most `width` columns, and within a word that is longer
/// than a line. Blanks at the front of the text are kept.
fn wrap(text: &str, width: usize) -> Vec<String> {
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let indent: String = text.chars().take_while(|c| *c == ' ').collect();
    let mut lines = Vec::new();
    let mut line = indent;
    let mut columns = line.chars().count();
    let mut at_start = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word_columns = word.chars().count();
        let blank = usize::from(!at_start);
        if !at_start && columns + blank + word_columns > width {
            lines.push(std::mem::take(&mut line));
            columns = 0;
        } else if !at_start {
            line.push(' ');
            columns += 1;
        }
        at_start = false;
        for c in word.chars() {
            if columns == width {
                lines.push(std::mem::take(&mut line));
                columns = 0;
            }
            line.push(c);
            columns += 1;
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_wrap_and_long_words_break() {
        assert_eq!(wrap("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrap("  aa bb cc", 5), ["  aa", "bb cc"]);
        assert_eq!(wrap("abcdefg h", 3), ["abc", "def", "g h"]);
    }

    #[test]
    fn other_scripts_show_as_question_marks() {
        assert_eq!(latin("Café – 東京 نور"), "Café - ?? ???");
    }

    #[test]
    fn an_amount_that_does_not_fit_has_its_own_line() {
        let mut roll = Roll::new(false);
        roll.pair(&"x".repeat(44), "1450.00B");
        assert_eq!(
            roll.finish(),
            format!("{}\n{:>48}\n", "x".repeat(44), "1450.00B")
        );
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_roll(label in ".{0,300}", amount in "[0-9.]{1,20}") {
            let mut roll = Roll::new(false);
            roll.pair(&label, &amount);
            roll.text(&label);
            roll.centred(&label);
            for line in roll.finish().lines() {
                prop_assert!(line.chars().count() <= COLUMNS, "{line:?}");
            }
        }
    }
}
