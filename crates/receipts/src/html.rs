//! A receipt as one HTML page that needs no other file.
//!
//! The template escapes every text. A text from outside stands in an element of its own direction,
//! so that right-to-left letters do not move what is beside it.

use std::fmt::Write as _;

use askama::Template;

use crate::model::PrintedReceipt;
use crate::qr::{Damage, QUIET_ZONE, Squares};
use crate::view::{COPY, CREDIT_NOTICE, View};

#[derive(Template)]
#[template(path = "receipt.html")]
struct Page<'a> {
    view: &'a View,
    copy_word: &'static str,
    notice: String,
    cu_invoice_no: String,
    kra_logo: Option<String>,
    logo: Option<String>,
    link: &'a str,
    code_side: usize,
    code_path: String,
}

impl PrintedReceipt {
    /// Draws the receipt as an HTML page. It has no script and loads nothing.
    pub fn to_html(&self) -> String {
        let view = View::of(self);
        let squares = Squares::of(&self.link, Damage::Medium);
        let page = Page {
            view: &view,
            copy_word: COPY,
            notice: CREDIT_NOTICE.join(" "),
            cu_invoice_no: self.cu_invoice_no(),
            kra_logo: self.seller.kra_logo.as_ref().map(|logo| logo.data_url()),
            logo: self.seller.logo.as_ref().map(|logo| logo.data_url()),
            link: &self.link,
            code_side: squares.side() + 2 * QUIET_ZONE,
            code_path: svg_path(&squares),
        };
        page.render()
            .expect("the template writes to a string and calls nothing that fails")
    }
}

/// The dark squares as one path, a rectangle for each run.
fn svg_path(squares: &Squares) -> String {
    let mut path = String::new();
    for (x, y, length) in squares.dark_runs() {
        let (x, y) = (x + QUIET_ZONE, y + QUIET_ZONE);
        write!(path, "M{x} {y}h{length}v1h-{length}z").expect("a string takes all");
    }
    path
}
