//! A receipt as text, for a roll of 80 mm with 48 columns.
//!
//! Text has one size, so that the word COPY is drawn five lines high. A printer prints only the
//! letters of Latin, and every other letter shows as a question mark.

mod columns;

use crate::model::PrintedReceipt;
use crate::qr::{Damage, QUIET_ZONE, Squares};
use crate::view::{COPY, CREDIT_NOTICE, ItemView, Row, TaxTable, View};
use columns::{COLUMNS, Roll};

/// The word COPY in letters five lines high.
const COPY_DRAWN: [&str; 5] = [
    " #####   #####   #####   #   #",
    "#       #     #  #    #   # # ",
    "#       #     #  #####     #  ",
    "#       #     #  #         #  ",
    " #####   #####   #         #  ",
];
/// How text shows KRA's QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextCode {
    /// Drawn with half blocks, two squares to a character.
    Blocks,
    /// A line `[QR]`, where a driver puts the picture.
    Marker,
}

impl PrintedReceipt {
    /// Draws the receipt in 48 columns. Lines end with a line feed, without blanks before it.
    pub fn to_text(&self, code: TextCode) -> String {
        let view = View::of(self);
        let mut roll = Roll::new(view.copy.is_some());
        head(&mut roll, &view);
        for (label, value) in &view.buyer {
            roll.text(&format!("{label} {value}"));
        }
        roll.rule();
        for line in &view.items {
            item(&mut roll, line);
        }
        roll.rule();
        for (label, value) in &view.totals {
            roll.pair(label, value);
        }
        roll.rule();
        for (label, value) in [&view.payment, &view.items_number] {
            roll.pair(label, value);
        }
        if let Some(table) = &view.tax_table {
            roll.rule();
            tax_table(&mut roll, table);
        }
        roll.rule();
        control_unit(&mut roll, &view);
        match code {
            TextCode::Marker => roll.centred("[QR]"),
            TextCode::Blocks => blocks(&mut roll, &Squares::of(&self.link, Damage::Low)),
        }
        roll.rule();
        system(&mut roll, &view);
        roll.rule();
        if let Some(closing) = &view.closing {
            roll.centred(closing);
        }
        roll.finish()
    }
}

fn head(roll: &mut Roll, view: &View) {
    roll.centred("[KRA logo]");
    roll.centred(&view.trade_name);
    roll.centred(&view.address);
    roll.centred(&view.pin);
    roll.centred(view.title);
    if let Some(credit) = &view.credit {
        let (label, value) = &credit.original;
        roll.text(label);
        roll.text(value);
        for line in CREDIT_NOTICE {
            roll.text(line);
        }
        if let Some((label, value)) = &credit.reason {
            roll.text(&format!("{label} {value}"));
        }
    }
    if let Some(opening) = &view.opening {
        roll.centred(opening);
    }
    if let Some(copy) = &view.copy {
        roll.blank();
        for line in COPY_DRAWN {
            roll.drawn(line);
        }
        roll.blank();
        roll.centred(COPY);
        if let Some(sentence) = copy.sentence {
            roll.centred(sentence);
        }
        roll.blank();
    }
}

fn item(roll: &mut Roll, item: &ItemView) {
    roll.text(&item.name);
    roll.pair(&item.price_and_quantity, &item.amount);
    if let Some((label, amount)) = &item.reduction {
        roll.pair(&format!("  {label}"), amount);
    }
}

fn tax_table(roll: &mut Roll, table: &TaxTable) {
    let [rate, taxable, tax] = table.heads;
    roll.triple(rate, taxable, tax);
    for [rate, taxable, tax] in &table.rows {
        roll.triple(rate, taxable, tax);
    }
}

fn control_unit(roll: &mut Roll, view: &View) {
    let unit = &view.control_unit;
    roll.text(unit.heading);
    roll.text(&two_on_a_line(&unit.date, &unit.time));
    for (label, value) in &unit.numbers {
        roll.text(&format!("{label} {value}"));
    }
    // Label and value have 47 columns together, which other rolls do not have.
    roll.text(&unit.internal_data.0);
    roll.text(&unit.internal_data.1);
    let (label, value) = &unit.signature;
    roll.text(&format!("{label} {value}"));
}

fn system(roll: &mut Roll, view: &View) {
    let system = &view.system;
    roll.text(system.heading);
    roll.text(&format!("{} {}", system.number.0, system.number.1));
    roll.text(&two_on_a_line(&system.date, &system.time));
}

fn two_on_a_line(first: &Row, second: &Row) -> String {
    // Blanks in a row are kept in a line that needs no wrapping.
    format!("{} {}   {} {}", first.0, first.1, second.0, second.1)
}

/// Draws two rows of squares in one line of text. The largest code leaves room for three light
/// squares beside it, and the roll's own margin is light too.
fn blocks(roll: &mut Roll, squares: &Squares) {
    let quiet = QUIET_ZONE.min((COLUMNS - squares.side()) / 2);
    let side = squares.side() + 2 * quiet;
    let is_dark = |x: usize, y: usize| {
        let in_code = x >= quiet && y >= quiet;
        in_code && squares.is_dark(x - quiet, y - quiet)
    };
    for y in (0..side).step_by(2) {
        let line: String = (0..side)
            .map(|x| match (is_dark(x, y), is_dark(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            })
            .collect();
        roll.drawn(&line);
    }
}
