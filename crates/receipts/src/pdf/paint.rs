//! Writes placed marks into a document.

use krilla::color::luma;
use krilla::geom::{Path, PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::{Document, SerializeSettings};

use super::flow::{MARGIN, Mark, PAGE_HEIGHT, PAGE_WIDTH, RIGHT, Style};
use super::letters::{Letters, Shaped};
use crate::error::PdfError;
use crate::logo::{Format, Logo};
use crate::model::PrintedReceipt;
use crate::qr::{Damage, QUIET_ZONE, Squares};
use crate::view::{COPY, View};

/// The code with its quiet zone: 37 mm. At least 25 mm are needed.
pub(super) const CODE_SIDE: f32 = 105.0;
pub(super) const LOGO_HEIGHT: f32 = 40.0;
const LOGO_WIDTH_MAX: f32 = 150.0;
const LOGO_GAP: f32 = 12.0;
/// The font has one weight. A stroke of this width, in sizes, makes it bold.
const BOLD_STROKE: f32 = 0.035;
const WATERMARK: Style = Style::plain(150.0);
const WATERMARK_DEGREES: f32 = -35.0;
const WATERMARK_OPACITY: f32 = 0.07;
const FOOT: Style = Style::plain(7.5);

pub(super) fn document(
    receipt: &PrintedReceipt,
    view: &View,
    letters: &Letters,
    pages: &[Vec<Mark>],
) -> Result<Vec<u8>, PdfError> {
    let logos = Logos::read(receipt)?;
    let mut document = Document::new_with(SerializeSettings {
        enable_tagging: false,
        ..SerializeSettings::default()
    });
    let title = format!("{} {}", view.title, receipt.cu_invoice_no());
    document.set_metadata(Metadata::new().title(title).language("en".to_owned()));

    let size = PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT).ok_or(PdfError::Document)?;
    for (index, marks) in pages.iter().enumerate() {
        let mut page = document.start_page_with(size.clone());
        let mut surface = page.surface();
        let mut painter = Painter {
            surface: &mut surface,
            letters,
        };
        if view.copy.is_some() {
            painter.watermark();
        }
        if index == 0 {
            painter.logos(&logos);
            painter.code(&Squares::of(receipt.link(), Damage::Medium));
        }
        for mark in marks {
            painter.mark(mark);
        }
        painter.foot(receipt, index + 1, pages.len());
        surface.finish();
        page.finish();
    }
    document.finish().map_err(|error| match error {
        krilla::error::KrillaError::Image(..) => PdfError::Logo,
        _ => PdfError::Document,
    })
}

struct Logos {
    kra: Option<Image>,
    own: Option<Image>,
}

impl Logos {
    fn read(receipt: &PrintedReceipt) -> Result<Self, PdfError> {
        let read = |logo: &Option<Logo>| logo.as_ref().map(image).transpose();
        Ok(Self {
            kra: read(&receipt.seller.kra_logo)?,
            own: read(&receipt.seller.logo)?,
        })
    }
}

fn image(logo: &Logo) -> Result<Image, PdfError> {
    let bytes = logo.bytes().to_vec().into();
    let image = match logo.format() {
        Format::Png => Image::from_png(bytes, true),
        Format::Jpeg => Image::from_jpeg(bytes, true),
    };
    image.map_err(|_| PdfError::Logo)
}

struct Painter<'a, 'b> {
    surface: &'a mut Surface<'b>,
    letters: &'a Letters,
}

impl Painter<'_, '_> {
    fn mark(&mut self, mark: &Mark) {
        match mark {
            Mark::Text {
                x,
                baseline,
                style,
                line,
            } => self.text(*x, *baseline, *style, line, NormalizedF32::ONE),
            Mark::Rule { y } => {
                if let Some(rect) = Rect::from_ltrb(MARGIN, *y, RIGHT, *y + 0.5) {
                    self.fill(rect_path(&[rect]));
                }
            }
        }
    }

    fn text(&mut self, x: f32, y: f32, style: Style, line: &Shaped, opacity: NormalizedF32) {
        self.surface.set_fill(Some(Fill {
            opacity,
            ..Fill::default()
        }));
        self.surface.set_stroke(style.bold.then(|| Stroke {
            paint: luma::Color::black().into(),
            width: style.size * BOLD_STROKE,
            opacity,
            ..Stroke::default()
        }));
        let mut x = x;
        for run in &line.runs {
            self.surface.draw_glyphs(
                Point::from_xy(x, y),
                &run.glyphs,
                self.letters.font(),
                &run.text,
                style.size,
                false,
            );
            x += run.width * style.size;
        }
        self.surface.set_stroke(None);
        self.surface.set_fill(None);
    }

    fn watermark(&mut self) {
        let word = self.letters.shape(COPY);
        let width = word.width * WATERMARK.size;
        let (x, y) = (PAGE_WIDTH / 2.0, PAGE_HEIGHT / 2.0);
        let opacity = NormalizedF32::new(WATERMARK_OPACITY).unwrap_or(NormalizedF32::ONE);
        self.surface
            .push_transform(&Transform::from_rotate_at(WATERMARK_DEGREES, x, y));
        let baseline = y + WATERMARK.size / 3.0;
        self.text(x - width / 2.0, baseline, WATERMARK, &word, opacity);
        self.surface.pop();
    }

    /// KRA's logo, or the frame that stands in for it, and the merchant's own beside it.
    fn logos(&mut self, logos: &Logos) {
        let mut x = MARGIN;
        x += match &logos.kra {
            Some(image) => self.picture(image, x),
            None => self.framed_kra(x),
        };
        if let Some(image) = &logos.own {
            self.picture(image, x + LOGO_GAP);
        }
    }

    /// Draws a picture as large as there is room, and returns its width.
    fn picture(&mut self, image: &Image, x: f32) -> f32 {
        let (width, height) = image.size();
        let (width, height) = (width as f32, height as f32);
        let scale = (LOGO_HEIGHT / height).min(LOGO_WIDTH_MAX / width);
        let Some(size) = Size::from_wh(width * scale, height * scale) else {
            return 0.0;
        };
        self.surface
            .push_transform(&Transform::from_translate(x, MARGIN));
        self.surface.draw_image(image.clone(), size);
        self.surface.pop();
        width * scale
    }

    fn framed_kra(&mut self, x: f32) -> f32 {
        const WIDTH: f32 = 64.0;
        let style = Style::bold(16.0);
        let (right, bottom) = (x + WIDTH, MARGIN + LOGO_HEIGHT);
        let sides = [
            Rect::from_ltrb(x, MARGIN, right, MARGIN + 1.0),
            Rect::from_ltrb(x, bottom - 1.0, right, bottom),
            Rect::from_ltrb(x, MARGIN, x + 1.0, bottom),
            Rect::from_ltrb(right - 1.0, MARGIN, right, bottom),
        ];
        let sides: Vec<Rect> = sides.into_iter().flatten().collect();
        self.fill(rect_path(&sides));
        let word = self.letters.shape("KRA");
        let left = x + (WIDTH - word.width * style.size) / 2.0;
        let baseline = MARGIN + LOGO_HEIGHT / 2.0 + style.size * 0.36;
        self.text(left, baseline, style, &word, NormalizedF32::ONE);
        WIDTH
    }

    /// KRA's code at the top right. Its quiet zone is the paper.
    fn code(&mut self, squares: &Squares) {
        let side = CODE_SIDE / (squares.side() + 2 * QUIET_ZONE) as f32;
        let at = |square: usize| (square + QUIET_ZONE) as f32 * side;
        let left = RIGHT - CODE_SIDE;
        let runs = squares.dark_runs();
        let rects: Vec<Rect> = runs
            .iter()
            .filter_map(|(x, y, length)| {
                let top = MARGIN + at(*y);
                Rect::from_ltrb(left + at(*x), top, left + at(x + length), top + side)
            })
            .collect();
        self.fill(rect_path(&rects));
    }

    fn foot(&mut self, receipt: &PrintedReceipt, page: usize, pages: usize) {
        let number = receipt.cu_invoice_no();
        let text = format!("{number}   Page {page} of {pages}");
        let line = self.letters.shape(&text);
        let x = RIGHT - line.width * FOOT.size;
        let baseline = PAGE_HEIGHT - MARGIN;
        self.text(x, baseline, FOOT, &line, NormalizedF32::ONE);
    }

    fn fill(&mut self, path: Option<Path>) {
        if let Some(path) = path {
            self.surface.set_fill(Some(Fill::default()));
            self.surface.draw_path(&path);
            self.surface.set_fill(None);
        }
    }
}

fn rect_path(rects: &[Rect]) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for rect in rects {
        builder.push_rect(*rect);
    }
    builder.finish()
}
