//! The blocks of a receipt on A4, in the order in which KRA wants them.

use super::flow::{Align, Cell, Flow, MARGIN, RIGHT, Style};
use super::paint::{CODE_SIDE, LOGO_HEIGHT};
use crate::model::PrintedReceipt;
use crate::view::{COPY, CREDIT_NOTICE, CopyMark, ItemView, Row, TaxTable, View};

/// The size of the amounts. The marks of a copy are at least twice as large.
const BODY: Style = Style::plain(9.0);
const HEADING: Style = Style::bold(9.0);
const TRADE_NAME: Style = Style::bold(14.0);
const TITLE: Style = Style::bold(16.0);
const COPY_WORD: Style = Style::bold(22.0);
const COPY_SENTENCE: Style = Style::bold(18.0);

/// The right edges of price and quantity, and of a label before an amount.
const PRICE_RIGHT: f32 = 440.0;
const NAME_RIGHT: f32 = 300.0;
const INDENT: f32 = 12.0;

pub(super) fn draw(flow: &mut Flow<'_>, receipt: &PrintedReceipt, view: &View) {
    head(flow, view);
    flow.rule();
    for line in &view.items {
        item(flow, line);
    }
    flow.rule();
    pairs(flow, &view.totals);
    flow.rule();
    pairs(flow, [&view.payment, &view.items_number]);
    if let Some(table) = &view.tax_table {
        flow.rule();
        tax_table(flow, table);
    }
    flow.rule();
    control_unit(flow, view);
    flow.rule();
    system(flow, view);
    if let Some(closing) = &receipt.seller.closing_message {
        flow.rule();
        flow.text(BODY, &centred(closing));
    }
}

/// The logos are above the seller, and the code is at the right of both.
fn head(flow: &mut Flow<'_>, view: &View) {
    let code_bottom = flow.y() + CODE_SIDE;
    flow.space(LOGO_HEIGHT + 8.0);
    for (style, text) in [
        (TRADE_NAME, &view.trade_name),
        (BODY, &view.address),
        (BODY, &view.pin),
    ] {
        flow.text(
            style,
            &Cell {
                left: MARGIN,
                right: RIGHT - CODE_SIDE - 12.0,
                align: Align::Left,
                text,
            },
        );
    }
    flow.move_to(flow.y().max(code_bottom));
    flow.text(TITLE, &centred(view.title));
    flow.space(4.0);

    if let Some(credit) = &view.credit {
        beside(flow, &credit.original);
        flow.text(BODY, &left(&CREDIT_NOTICE.join(" ")));
        if let Some(reason) = &credit.reason {
            beside(flow, reason);
        }
    }
    if let Some(opening) = &view.opening {
        flow.text(BODY, &centred(opening));
    }
    if let Some(copy) = &view.copy {
        copy_marks(flow, copy);
    }
    flow.space(4.0);
    for row in &view.buyer {
        beside(flow, row);
    }
}

fn copy_marks(flow: &mut Flow<'_>, copy: &CopyMark) {
    flow.space(4.0);
    flow.text(COPY_WORD, &centred(COPY));
    if let Some(sentence) = copy.sentence {
        flow.text(COPY_SENTENCE, &centred(sentence));
    }
    flow.space(2.0);
}

fn item(flow: &mut Flow<'_>, item: &ItemView) {
    flow.row(
        BODY,
        &[
            Cell {
                left: MARGIN,
                right: NAME_RIGHT,
                align: Align::Left,
                text: &item.name,
            },
            Cell {
                left: NAME_RIGHT + 8.0,
                right: PRICE_RIGHT,
                align: Align::Right,
                text: &item.price_and_quantity,
            },
            amount(&item.amount),
        ],
    );
    if let Some((label, value)) = &item.reduction {
        flow.row(
            BODY,
            &[
                Cell {
                    left: MARGIN + INDENT,
                    right: PRICE_RIGHT,
                    align: Align::Left,
                    text: label,
                },
                amount(value),
            ],
        );
    }
}

/// Labels with their amounts, all on one page.
fn pairs<'a>(flow: &mut Flow<'_>, rows: impl IntoIterator<Item = &'a Row>) {
    let rows: Vec<&Row> = rows.into_iter().collect();
    flow.keep_together(BODY.line_height() * rows.len() as f32);
    for (label, value) in rows {
        flow.row(
            BODY,
            &[
                Cell {
                    left: MARGIN,
                    right: PRICE_RIGHT,
                    align: Align::Left,
                    text: label,
                },
                amount(value),
            ],
        );
    }
}

fn tax_table(flow: &mut Flow<'_>, table: &TaxTable) {
    flow.keep_together(BODY.line_height() * (table.rows.len() + 1) as f32);
    let mut row = |style, [rate, taxable, tax]: [&str; 3]| {
        flow.row(
            style,
            &[
                Cell {
                    left: MARGIN,
                    right: NAME_RIGHT,
                    align: Align::Left,
                    text: rate,
                },
                Cell {
                    left: NAME_RIGHT + 8.0,
                    right: PRICE_RIGHT,
                    align: Align::Right,
                    text: taxable,
                },
                amount(tax),
            ],
        );
    };
    row(HEADING, table.heads);
    for texts in &table.rows {
        row(BODY, texts.each_ref().map(String::as_str));
    }
}

fn control_unit(flow: &mut Flow<'_>, view: &View) {
    let unit = &view.control_unit;
    flow.keep_together(BODY.line_height() * 7.0);
    flow.text(HEADING, &left(unit.heading));
    two_beside(flow, &unit.date, &unit.time);
    for row in &unit.numbers {
        beside(flow, row);
    }
    beside(flow, &unit.internal_data);
    beside(flow, &unit.signature);
}

fn system(flow: &mut Flow<'_>, view: &View) {
    let system = &view.system;
    flow.keep_together(BODY.line_height() * 3.0);
    flow.text(HEADING, &left(system.heading));
    beside(flow, &system.number);
    two_beside(flow, &system.date, &system.time);
}

fn beside(flow: &mut Flow<'_>, (label, value): &Row) {
    flow.text(BODY, &left(&format!("{label} {value}")));
}

fn two_beside(flow: &mut Flow<'_>, first: &Row, second: &Row) {
    let text = format!("{} {}   {} {}", first.0, first.1, second.0, second.1);
    flow.text(BODY, &left(&text));
}

fn left(text: &str) -> Cell<'_> {
    Cell {
        left: MARGIN,
        right: RIGHT,
        align: Align::Left,
        text,
    }
}

fn centred(text: &str) -> Cell<'_> {
    Cell {
        align: Align::Centre,
        ..left(text)
    }
}

fn amount(text: &str) -> Cell<'_> {
    Cell {
        left: PRICE_RIGHT + 8.0,
        right: RIGHT,
        align: Align::Right,
        text,
    }
}
