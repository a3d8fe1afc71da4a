//! Lines of a file of any size, each within a bound: what is longer is skipped and not kept.

use std::io::{self, BufRead};

/// Longest line that is taken, in bytes.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// A line with something on it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1, as an editor shows it.
    pub(super) number: u64,
    /// Its bytes without the line end; `None` for one that is longer than [`MAX_LINE`].
    pub(super) text: Option<Vec<u8>>,
    /// Where the next line begins.
    pub(super) end: u64,
}

/// Reads lines one by one.
pub(super) struct Lines<R> {
    source: R,
    number: u64,
    read: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, number: 0, read: 0 }
    }

    /// The next line that is not blank; `None` at the end.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut text = Vec::new();
            let (length, ended) = self.read_line(&mut text)?;
            if length == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.read += length;
            let content = length - u64::from(ended);
            let whole = usize::try_from(content).is_ok_and(|length| length == text.len());
            if self.number == 1 && text.starts_with(b"\xef\xbb\xbf") {
                text.drain(..3);
            }
            if whole && text.trim_ascii().is_empty() {
                continue;
            }
            return Ok(Some(Line { number: self.number, text: whole.then_some(text), end: self.read }));
        }
    }

    /// Reads to the end of the line; keeps at most [`MAX_LINE`] bytes. Its length with the line end, and whether it
    /// has one.
    fn read_line(&mut self, text: &mut Vec<u8>) -> io::Result<(u64, bool)> {
        let mut length = 0;
        loop {
            let buffer = match self.source.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            let room = MAX_LINE - text.len();
            text.extend_from_slice(part.get(..room).unwrap_or(part));
            let (used, at_end) = (part.len() + usize::from(end.is_some()), buffer.is_empty());
            self.source.consume(used);
            length += u64::try_from(used).unwrap_or(u64::MAX);
            if end.is_some() || at_end {
                return Ok((length, end.is_some()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(text: &[u8], buffer: usize) -> Vec<(u64, Option<Vec<u8>>, u64)> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, text));
        let mut all = Vec::new();
        while let Some(Line { number, text, end }) = lines.next().unwrap() {
            all.push((number, text, end));
        }
        all
    }

    #[test]
    fn lines_keep_their_numbers_and_blank_ones_are_left_out() {
        let text = b"\xef\xbb\xbfone\r\n\n  \t\ntwo\nthree";
        let expected = vec![
            (1, Some(b"one\r".to_vec()), 8),
            (4, Some(b"two".to_vec()), 17),
            (5, Some(b"three".to_vec()), 22),
        ];
        for buffer in [1, 2, 3, 64] {
            assert_eq!(read(text, buffer), expected, "{buffer}");
        }
        assert_eq!(read(b"", 8), []);
        assert_eq!(read(b"\n\n", 8), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_the_next_one_is_whole() {
        let longest = vec![b'x'; MAX_LINE];
        let text = [&longest[..], b"\n", &longest, b"y\n", b"two\n", &longest, b"z"].concat();
        let told: Vec<(u64, Option<usize>)> = read(&text, 4096)
            .into_iter()
            .map(|(number, text, _)| (number, text.map(|text| text.len())))
            .collect();
        assert_eq!(told, [(1, Some(MAX_LINE)), (2, None), (3, Some(3)), (4, None)]);
    }
}
