//! A receipt as a PDF of A4 pages.
//!
//! The same receipt always makes the same bytes: no time and no random number goes in. Coordinates
//! are the only floating-point numbers of this crate, and no amount becomes one.

mod blocks;
mod flow;
mod letters;
mod paint;

use crate::error::PdfError;
use crate::model::PrintedReceipt;
use crate::view::View;
use flow::Flow;
use letters::Letters;

impl PrintedReceipt {
    /// Draws the receipt on as many A4 pages as it needs.
    pub fn to_pdf(&self) -> Result<Vec<u8>, PdfError> {
        let view = View::of(self);
        let letters = Letters::embedded();
        let mut flow = Flow::new(&letters);
        blocks::draw(&mut flow, self, &view);
        paint::document(self, &view, &letters, &flow.into_pages())
    }
}
