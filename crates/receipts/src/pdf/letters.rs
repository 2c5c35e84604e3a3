//! The embedded font: which shapes a text has, how wide they are, and where it can be broken.

use harfrust::{Direction, FontRef, ShapeOptions, ShaperData, UnicodeBuffer};
use krilla::text::{Font, GlyphId, KrillaGlyph};
use unicode_bidi::{BidiInfo, Level};

/// DejaVu Sans 2.37. It has Latin, Greek, Cyrillic, Arabic, Hebrew and more. Its licence is beside
/// the file.
static FONT: &[u8] = include_bytes!("../../fonts/DejaVuSans.ttf");
/// What a letter that the font lacks shows as.
const UNKNOWN: char = '\u{fffd}';
/// The glyph of what a font lacks.
const MISSING: u32 = 0;

pub(super) struct Letters {
    font: Font,
    font_ref: FontRef<'static>,
    shaper_data: ShaperData,
}

/// One line of text in the order in which it is drawn. Widths are for a size of 1.
#[derive(Clone)]
pub(super) struct Shaped {
    pub(super) runs: Vec<Run>,
    pub(super) width: f32,
}

/// Letters of one direction.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) glyphs: Vec<KrillaGlyph>,
    pub(super) width: f32,
}

impl Letters {
    pub(super) fn embedded() -> Self {
        let font_ref = FontRef::from_index(FONT, 0).expect("the embedded font is whole");
        Self {
            font: Font::new(FONT.into(), 0).expect("the embedded font is whole"),
            shaper_data: ShaperData::new(&font_ref),
            font_ref,
        }
    }

    pub(super) fn font(&self) -> Font {
        self.font.clone()
    }

    /// Shapes one line. Text of both directions is put into the order of the eye.
    pub(super) fn shape(&self, text: &str) -> Shaped {
        let text = self.with_known_letters(text);
        let bidi = BidiInfo::new(&text, Some(Level::ltr()));
        let mut runs = Vec::new();
        for paragraph in &bidi.paragraphs {
            let (levels, ranges) = bidi.visual_runs(paragraph, paragraph.range.clone());
            for range in ranges {
                let direction = if levels[range.start].is_rtl() {
                    Direction::RightToLeft
                } else {
                    Direction::LeftToRight
                };
                runs.push(self.run(&text[range], direction));
            }
        }
        let width = runs.iter().map(|run| run.width).sum();
        Shaped { runs, width }
    }

    /// Breaks a text into lines of at most `width`, given for a size of 1. It breaks at blanks, and
    /// within a word that is wider than a line.
    pub(super) fn wrap(&self, text: &str, width: f32) -> Vec<Shaped> {
        let whole = self.shape(text);
        if whole.width <= width {
            return vec![whole];
        }
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let longer = if line.is_empty() {
                word.to_owned()
            } else {
                format!("{line} {word}")
            };
            if self.shape(&longer).width <= width {
                line = longer;
                continue;
            }
            if !line.is_empty() {
                lines.push(self.shape(&line));
            }
            line = self.break_word(word, width, &mut lines);
        }
        lines.push(self.shape(&line));
        lines
    }

    /// Pushes the full lines of a word and returns what is left of it.
    fn break_word(&self, word: &str, width: f32, lines: &mut Vec<Shaped>) -> String {
        let mut line = String::new();
        for c in word.chars() {
            line.push(c);
            if self.shape(&line).width > width && line.chars().count() > 1 {
                line.pop();
                lines.push(self.shape(&line));
                line = c.to_string();
            }
        }
        line
    }

    /// Replaces what the font lacks, so that it shows that something is there.
    fn with_known_letters(&self, text: &str) -> String {
        let lacks = |c: char| {
            let mut one = [0; 4];
            let shaped = self.glyphs(c.encode_utf8(&mut one), Direction::LeftToRight);
            shaped
                .iter()
                .any(|glyph| glyph.glyph_id.to_u32() == MISSING)
        };
        text.chars()
            .map(|c| {
                // Those of ASCII are all there, and most texts have no others.
                if c.is_ascii() || !lacks(c) {
                    c
                } else {
                    UNKNOWN
                }
            })
            .collect()
    }

    fn run(&self, text: &str, direction: Direction) -> Run {
        let glyphs = self.glyphs(text, direction);
        let width = glyphs.iter().map(|glyph| glyph.x_advance).sum();
        Run {
            text: text.to_owned(),
            glyphs,
            width,
        }
    }

    fn glyphs(&self, text: &str, direction: Direction) -> Vec<KrillaGlyph> {
        let shaper = self.shaper_data.shaper(&self.font_ref).build();
        let mut buffer = UnicodeBuffer::new();
        buffer.push_str(text);
        buffer.guess_segment_properties();
        buffer.set_direction(direction);
        let shaped = shaper.shape(buffer, ShapeOptions::new());

        // A cluster is where the text of a glyph starts. It ends where the next one starts.
        let mut starts: Vec<usize> = shaped
            .glyph_infos()
            .iter()
            .map(|info| info.cluster as usize)
            .collect();
        starts.sort_unstable();
        starts.dedup();
        let end_of = |start: usize| {
            let next = starts.partition_point(|other| *other <= start);
            starts.get(next).copied().unwrap_or(text.len())
        };

        let em = self.font.units_per_em();
        let scaled = |units: i32| units as f32 / em;
        shaped
            .glyph_infos()
            .iter()
            .zip(shaped.glyph_positions())
            .map(|(info, position)| {
                let start = info.cluster as usize;
                KrillaGlyph::new(
                    GlyphId::new(info.glyph_id),
                    scaled(position.x_advance),
                    scaled(position.x_offset),
                    scaled(position.y_offset),
                    scaled(position.y_advance),
                    start..end_of(start),
                    None,
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(shaped: &Shaped) -> Vec<&str> {
        shaped.runs.iter().map(|run| run.text.as_str()).collect()
    }

    #[test]
    fn unknown_letters_show() {
        let letters = Letters::embedded();
        assert_eq!(drawn(&letters.shape("Kahawa 東")), ["Kahawa \u{fffd}"]);
        assert_eq!(drawn(&letters.shape("Café")), ["Café"]);
    }

    #[test]
    fn right_to_left_names_stand_in_their_order() {
        let letters = Letters::embedded();
        let shaped = letters.shape("Buyer: نور שלום x");
        assert_eq!(drawn(&shaped), ["Buyer: ", "نور שלום", " x"]);
        // The first letter of the name is drawn last.
        let name = &shaped.runs[1];
        assert!(name.glyphs[0].text_range.start > name.glyphs[3].text_range.start);
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        let letters = Letters::embedded();
        for text in ["a b c d e f g h", &"W".repeat(200), "", "x"] {
            for line in letters.wrap(text, 10.0) {
                assert!(line.width <= 10.0, "{text}");
            }
        }
        assert_eq!(letters.wrap("aa bb", 2.0).len(), 2);
    }
}
