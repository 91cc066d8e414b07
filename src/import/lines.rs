//! The lines of a text, with their places.

use crate::source::Span;

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub text: &'a str,
    /// The byte at which it begins.
    pub at: usize,
}

impl<'a> Line<'a> {
    /// Its text without white space around it.
    pub(super) fn trimmed(&self) -> &'a str {
        self.text.trim()
    }

    /// Whether there is nothing on it.
    pub(super) fn is_blank(&self) -> bool {
        self.trimmed().is_empty()
    }

    /// The place of what stands on it.
    pub(super) fn span(&self) -> Span {
        let start = self.at + self.text.len() - self.text.trim_start().len();
        Span::new(start, start + self.trimmed().len())
    }

    /// The place of a part of it.
    pub(super) fn span_of(&self, part: &str) -> Span {
        // The part may be one of the line's own, or a text that stands in it.
        let own = (part.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        let own = own.filter(|offset| self.text.get(*offset..offset + part.len()) == Some(part));
        let offset = own.or_else(|| self.text.find(part)).unwrap_or_default();
        Span::new(self.at + offset, self.at + offset + part.len())
    }
}

/// All lines.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut at = 0;
    let split = text.split_inclusive('\n');
    split
        .map(|whole| {
            let line = whole.trim_end_matches('\n');
            let line = line.strip_suffix('\r').unwrap_or(line);
            let found = Line { text: line, at };
            at += whole.len();
            found
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_places() {
        let text = "a\r\n  b c \n";
        let found = lines(text);
        assert_eq!(found.len(), 2);
        let span = found[1].span();
        assert_eq!(&text[span.start..span.end], "b c");
        let part = found[1].text.split_whitespace().nth(1).expect("a word");
        let span = found[1].span_of(part);
        assert_eq!(&text[span.start..span.end], "c");
    }
}
