//! A text as a QR code (ISO/IEC 18004), as SVG and as PNG: black on white, with the quiet zone that readers need.

use std::fmt::Write as _;

use png::{BitDepth, ColorType, Encoder};
use qrcodegen::{QrCode, QrCodeEcc};

use crate::service::{Error, Result};

/// White modules around the code (ISO/IEC 18004 §6.3.8).
const QUIET: i32 = 4;
/// Pixels of a module in the PNG.
const SCALE: i32 = 6;

/// A QR code, ready to be drawn.
pub(super) struct QrImage(QrCode);

impl QrImage {
    /// The code of a text. More correction is taken where it costs no space.
    pub(super) fn of(text: &str) -> Result<Self> {
        QrCode::encode_text(text, QrCodeEcc::Low).map(Self).map_err(Error::internal)
    }

    /// Modules of a side, with the quiet zone.
    fn side(&self) -> i32 {
        self.0.size() + 2 * QUIET
    }

    /// As a document of its own, without size: it fills the place that it is given.
    pub(super) fn svg(&self) -> String {
        let side = self.side();
        let mut path = String::new();
        for y in 0..self.0.size() {
            for x in (0..self.0.size()).filter(|x| self.0.get_module(*x, y)) {
                // Writing to a String cannot fail.
                let _ = write!(path, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
            }
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
             <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
        )
    }

    /// As a file, one bit a pixel.
    pub(super) fn png(&self) -> Result<Vec<u8>> {
        let pixels = self.side() * SCALE;
        let width = u32::try_from(pixels).map_err(Error::internal)?;
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, width, width);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
        let mut writer = encoder.write_header().map_err(Error::internal)?;
        writer.write_image_data(&self.rows(pixels)).map_err(Error::internal)?;
        writer.finish().map_err(Error::internal)?;
        Ok(file)
    }

    /// Each row begins with a byte of its own, the first pixel in the highest bit; 1 is white.
    fn rows(&self, pixels: i32) -> Vec<u8> {
        let white = |x: i32, y: i32| !self.0.get_module(x / SCALE - QUIET, y / SCALE - QUIET);
        let mut rows = Vec::new();
        for y in 0..pixels {
            for x in (0..pixels).step_by(8) {
                let bits = (x..x + 8).map(|x| u8::from(x >= pixels || white(x, y)));
                rows.push(bits.fold(0, |byte, bit| byte << 1 | bit));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "otpauth://totp/Acme:ann%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme\
        &algorithm=SHA1&digits=6&period=30";

    /// Reads a code from a picture as a camera would.
    fn read(side: usize, dark: impl Fn(usize, usize) -> bool) -> String {
        let grey = |x, y| if dark(x, y) { 0 } else { 255 };
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side, side, grey);
        let codes = picture.detect_grids();
        assert_eq!(codes.len(), 1);
        codes[0].decode().unwrap().1
    }

    #[test]
    fn a_reader_finds_the_text_in_the_png() {
        for text in [URL.to_owned(), format!("{URL}&x={}", "y".repeat(1800))] {
            let file = QrImage::of(&text).unwrap().png().unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
            let mut bits = vec![0; reader.output_buffer_size().unwrap()];
            let info = reader.next_frame(&mut bits).unwrap();
            let side = info.width as usize;
            let dark = |x: usize, y: usize| bits[y * info.line_size + x / 8] >> (7 - x % 8) & 1 == 0;
            assert_eq!(read(side, dark), text);
        }
    }

    #[test]
    fn a_reader_finds_the_text_in_the_svg() {
        let svg = QrImage::of(URL).unwrap().svg();
        let side: usize =
            svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let path = svg.split("d=\"").nth(1).unwrap().split('"').next().unwrap();
        let dark: std::collections::BTreeSet<(usize, usize)> = path
            .split_terminator("h1v1h-1z")
            .map(|at| {
                let (x, y) = at.trim_start_matches('M').split_once(',').unwrap();
                (x.parse().unwrap(), y.parse().unwrap())
            })
            .collect();
        assert_eq!(read(side * 4, |x, y| dark.contains(&(x / 4, y / 4))), URL);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
    }

    /// The quiet zone is white on every side.
    #[test]
    fn nothing_is_drawn_in_the_quiet_zone() {
        let qr = QrImage::of(URL).unwrap();
        let pixels = qr.side() * SCALE;
        let row = usize::try_from(pixels).unwrap().div_ceil(8);
        let rows = qr.rows(pixels);
        let quiet = usize::try_from(QUIET * SCALE).unwrap() * row;
        assert!(rows[..quiet].iter().chain(&rows[rows.len() - quiet..]).all(|byte| *byte == 0xff));
        assert!(rows.chunks(row).all(|row| row[..3] == [0xff; 3] && row[row.len() - 2..] == [0xff; 2]));
    }

    #[test]
    fn a_text_that_no_code_can_hold_is_an_error() {
        assert!(QrImage::of(&"x".repeat(3000)).is_err());
    }
}
