//! Reads a PDF back as a viewer would: its texts in order, the sizes of its letters, its
//! rectangles.

use lopdf::content::{Content, Operation};
use lopdf::{Document, Object};

pub(crate) struct PdfText {
    pub(crate) pages: Vec<String>,
}

impl PdfText {
    pub(crate) fn read(pdf: &[u8]) -> Self {
        let document = Document::load_mem(pdf).unwrap();
        let pages = document
            .get_pages()
            .keys()
            .map(|number| {
                let text = document.extract_text(&[*number]).unwrap();
                let lines: Vec<&str> = text.lines().map(str::trim).collect();
                lines.join("\n")
            })
            .collect();
        Self { pages }
    }

    pub(crate) fn whole(&self) -> String {
        self.pages.join("\n")
    }
}

/// The operations of the first page.
pub(crate) fn operations(pdf: &[u8]) -> Vec<Operation> {
    let document = Document::load_mem(pdf).unwrap();
    let page = document.get_pages()[&1];
    let content = document.get_page_content(page);
    Content::decode(&content).unwrap().operations
}

/// The sizes at which letters are set, in the order of the page.
pub(crate) fn font_sizes(pdf: &[u8]) -> Vec<f32> {
    operations(pdf)
        .iter()
        .filter(|operation| operation.operator == "Tf")
        .map(|operation| operation.operands[1].as_float().unwrap())
        .collect()
}

/// The rectangles that are filled: left, top, width, height. A path of one corner after the other
/// draws each.
pub(crate) fn rectangles(pdf: &[u8]) -> Vec<[f32; 4]> {
    let mut rectangles = Vec::new();
    let mut corners: Vec<[f32; 2]> = Vec::new();
    for operation in operations(pdf) {
        match operation.operator.as_str() {
            "m" | "l" => {
                if operation.operator == "m" {
                    corners.clear();
                }
                let number = |index: usize| Object::as_float(&operation.operands[index]).unwrap();
                corners.push([number(0), number(1)]);
            }
            "h" if corners.len() == 4 => {
                let least = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MAX, f32::min);
                let most = |axis: usize| corners.iter().map(|c| c[axis]).fold(f32::MIN, f32::max);
                let (left, top) = (least(0), least(1));
                rectangles.push([left, top, most(0) - left, most(1) - top]);
            }
            _ => {}
        }
    }
    rectangles
}
