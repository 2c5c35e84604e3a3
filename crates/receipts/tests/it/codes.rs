//! KRA's QR code is read back from every form, as a phone would.

use risiti_receipts::{PrintedReceipt, TextCode};
use rqrr::PreparedImage;

use crate::fixture::{SALE_LINK, credit_note, sale};
use crate::pdf_reader::rectangles;

/// Pixels on a side of a square.
const SCALE: usize = 4;

/// Finds and reads the one code in a picture of `side` squares a side.
fn decode(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
    let pixels = side * SCALE;
    let mut picture =
        PreparedImage::prepare_from_bitmap(pixels, pixels, |x, y| is_dark(x / SCALE, y / SCALE));
    let codes = picture.detect_grids();
    assert_eq!(codes.len(), 1);
    codes[0].decode().unwrap().1
}

fn from_svg(html: &str) -> String {
    let between = |from: &str, to: &str| {
        let rest = html.split_once(from).unwrap().1;
        rest.split_once(to).unwrap().0.to_owned()
    };
    let side: usize = between("viewBox=\"0 0 ", " ").parse().unwrap();
    let mut dark = vec![false; side * side];
    for run in between("<path d=\"", "\"").split_terminator('z') {
        let (place, length) = run.strip_prefix('M').unwrap().split_once('h').unwrap();
        let (x, y) = place.split_once(' ').unwrap();
        let (x, y): (usize, usize) = (x.parse().unwrap(), y.parse().unwrap());
        let length: usize = length.split_once('v').unwrap().0.parse().unwrap();
        dark[y * side + x..][..length].fill(true);
    }
    decode(side, |x, y| dark[y * side + x])
}

fn from_blocks(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| line.contains(['█', '▀', '▄']))
        .map(|line| line.chars().collect::<Vec<char>>());
    let lines: Vec<_> = lines.collect();
    let quiet = 8;
    decode(48 + 2 * quiet, |x, y| {
        let (x, y) = (x.wrapping_sub(quiet), y.wrapping_sub(quiet));
        let upper = y % 2 == 0;
        match lines.get(y / 2).and_then(|line| line.get(x)) {
            Some('█') => true,
            Some('▀') => upper,
            Some('▄') => !upper,
            _ => false,
        }
    })
}

/// The runs of the code are the only rectangles of their height.
fn from_pdf(pdf: &[u8]) -> String {
    let rectangles = rectangles(pdf);
    let of_code = |[_, _, _, height]: &&[f32; 4]| (1.5..4.0).contains(height);
    let runs: Vec<&[f32; 4]> = rectangles.iter().filter(of_code).collect();
    let square = runs[0][3];
    let left = runs.iter().map(|run| run[0]).fold(f32::MAX, f32::min);
    let top = runs.iter().map(|run| run[1]).fold(f32::MAX, f32::min);
    let index = |length: f32| (length / square).round() as usize;
    let mut dark = vec![vec![false; 80]; 80];
    for [x, y, width, _] in runs {
        let (column, row) = (index(x - left) + 4, index(y - top) + 4);
        dark[row][column..][..index(*width)].fill(true);
    }
    decode(80, |x, y| dark[y][x])
}

fn every_code(receipt: &PrintedReceipt) -> [String; 3] {
    [
        from_svg(&receipt.to_html()),
        from_pdf(&receipt.to_pdf().unwrap()),
        from_blocks(&receipt.to_text(TextCode::Blocks)),
    ]
}

#[test]
fn the_code_of_every_form_leads_to_the_receipt() {
    for receipt in [sale(), sale().copy()] {
        for link in every_code(&receipt) {
            assert_eq!(link, SALE_LINK);
        }
    }
    for link in every_code(&credit_note()) {
        assert!(
            link.ends_with("?Data=P051234567X00QRST67ABCDEF2345"),
            "{link}"
        );
    }
}
