//! Places blocks from top to bottom and begins a new page where one is full.

use super::letters::{Letters, Shaped};

pub(super) const PAGE_WIDTH: f32 = 595.28;
pub(super) const PAGE_HEIGHT: f32 = 841.89;
pub(super) const MARGIN: f32 = 40.0;
pub(super) const RIGHT: f32 = PAGE_WIDTH - MARGIN;
/// Below it is the foot of the page.
const BOTTOM: f32 = PAGE_HEIGHT - MARGIN - 16.0;
/// The height of a line in sizes of its letters.
const LEADING: f32 = 1.35;
/// How far below a line's top its letters stand, in sizes.
const ASCENT: f32 = 1.0;

/// Something at a place on a page.
pub(super) enum Mark {
    Text {
        x: f32,
        baseline: f32,
        style: Style,
        line: Shaped,
    },
    Rule {
        y: f32,
    },
}

#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) size: f32,
    pub(super) bold: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

/// A text between two edges.
pub(super) struct Cell<'a> {
    pub(super) left: f32,
    pub(super) right: f32,
    pub(super) align: Align,
    pub(super) text: &'a str,
}

pub(super) struct Flow<'a> {
    letters: &'a Letters,
    pages: Vec<Vec<Mark>>,
    y: f32,
}

impl Style {
    pub(super) const fn plain(size: f32) -> Self {
        Self { size, bold: false }
    }

    pub(super) const fn bold(size: f32) -> Self {
        Self { size, bold: true }
    }

    pub(super) fn line_height(self) -> f32 {
        self.size * LEADING
    }
}

impl<'a> Flow<'a> {
    pub(super) fn new(letters: &'a Letters) -> Self {
        Self {
            letters,
            pages: vec![Vec::new()],
            y: MARGIN,
        }
    }

    pub(super) fn into_pages(self) -> Vec<Vec<Mark>> {
        self.pages
    }

    pub(super) fn y(&self) -> f32 {
        self.y
    }

    pub(super) fn move_to(&mut self, y: f32) {
        self.y = y;
    }

    pub(super) fn space(&mut self, height: f32) {
        self.y += height;
    }

    /// Begins a new page if less than `height` is left of this one.
    pub(super) fn keep_together(&mut self, height: f32) {
        if self.y + height > BOTTOM {
            self.pages.push(Vec::new());
            self.y = MARGIN;
        }
    }

    /// One text over as many lines as it needs.
    pub(super) fn text(&mut self, style: Style, cell: &Cell<'_>) {
        self.row(style, std::slice::from_ref(cell));
    }

    /// Texts side by side. A row is never torn over two pages.
    pub(super) fn row(&mut self, style: Style, cells: &[Cell<'_>]) {
        let wrapped: Vec<Vec<Shaped>> = cells
            .iter()
            .map(|cell| {
                let width = (cell.right - cell.left) / style.size;
                self.letters.wrap(cell.text, width)
            })
            .collect();
        let lines = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        let height = style.line_height() * lines as f32;
        self.keep_together(height);

        let top = self.y;
        for (cell, lines) in cells.iter().zip(wrapped) {
            let mut baseline = top + style.size * ASCENT;
            for line in lines {
                let width = line.width * style.size;
                let x = match cell.align {
                    Align::Left => cell.left,
                    Align::Centre => (cell.left + cell.right - width) / 2.0,
                    Align::Right => cell.right - width,
                };
                self.mark(Mark::Text {
                    x,
                    baseline,
                    style,
                    line,
                });
                baseline += style.line_height();
            }
        }
        self.y = top + height;
    }

    /// A line across the page, with room around it.
    pub(super) fn rule(&mut self) {
        self.space(4.0);
        let y = self.y;
        self.mark(Mark::Rule { y });
        self.space(4.0);
    }

    fn mark(&mut self, mark: Mark) {
        let page = self.pages.last_mut().expect("there is always a page");
        page.push(mark);
    }
}
