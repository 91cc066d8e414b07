//! Clojure's data notation: as much of it as histories are written in. A value at a time, from a stream, with places.

pub(super) mod jepsen;

use std::io::BufRead;

use super::read_error::ReadError;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edn {
    Nil,
    Boolean(bool),
    Integer(i64),
    /// A number that is no integer of 64 bits, as it stands.
    Number(String),
    Text(String),
    /// Without its colon.
    Keyword(String),
    Symbol(String),
    /// A vector, a list, or a set.
    Sequence(Vec<Edn>),
    Map(Vec<(Edn, Edn)>),
}

impl Edn {
    /// The value of a keyword in a map.
    pub(super) fn get(&self, key: &str) -> Option<&Edn> {
        let Self::Map(entries) = self else { return None };
        let is_key = |found: &Edn| matches!(found, Self::Keyword(keyword) if keyword == key);
        entries
            .iter()
            .find(|(found, _)| is_key(found))
            .map(|(_, value)| value)
    }
}

/// The deepest nesting.
const DEPTH_MAX: usize = 64;

/// Reads values from a stream.
pub(super) struct Reader<R> {
    input: R,
    pub(super) line: u32,
    pub(super) column: usize,
    text: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            line: 1,
            column: 1,
            text: Vec::new(),
        }
    }

    fn error(&self, message: impl Into<String>) -> ReadError {
        ReadError::at(self.line, self.column, message)
    }

    fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn skip(&mut self) -> Result<Option<u8>, ReadError> {
        let byte = self.peek()?;
        if let Some(byte) = byte {
            self.input.consume(1);
            if byte == b'\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        Ok(byte)
    }

    /// Passes blanks, commas and comments.
    fn blanks(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            match self.peek()? {
                Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | 0x0c) => {
                    self.skip()?;
                }
                Some(b';') => while !matches!(self.skip()?, None | Some(b'\n')) {},
                other => return Ok(other),
            }
        }
    }

    /// Opens the vector or list that all stands in, if there is one.
    pub(super) fn open(&mut self) -> Result<Option<u8>, ReadError> {
        let close = match self.blanks()? {
            Some(b'[') => b']',
            Some(b'(') => b')',
            _ => return Ok(None),
        };
        self.skip()?;
        Ok(Some(close))
    }

    /// The next value; `None` at the end of the stream, or behind `close`, which is passed.
    pub(super) fn next(&mut self, close: Option<u8>) -> Result<Option<Edn>, ReadError> {
        self.value(close, 0)
    }

    fn value(&mut self, close: Option<u8>, depth: usize) -> Result<Option<Edn>, ReadError> {
        if depth > DEPTH_MAX {
            return Err(self.error(format!("more than {DEPTH_MAX} values stand in each other")));
        }
        loop {
            let Some(byte) = self.blanks()? else {
                return match close {
                    None => Ok(None),
                    Some(close) => Err(self.error(format!(
                        "the text ends before `{}`; is the file whole?",
                        char::from(close)
                    ))),
                };
            };
            if Some(byte) == close {
                self.skip()?;
                return Ok(None);
            }
            let value = match byte {
                b'[' | b'(' => {
                    self.skip()?;
                    Edn::Sequence(self.sequence(if byte == b'[' { b']' } else { b')' }, depth)?)
                }
                b'{' => {
                    let place = (self.line, self.column);
                    self.skip()?;
                    self.map(depth, place)?
                }
                b'#' => match self.tagged(depth)? {
                    Some(value) => value,
                    None => continue,
                },
                b'"' => self.string()?,
                b'\\' => {
                    self.skip()?;
                    Edn::Text(self.word()?)
                }
                b'^' => {
                    // What follows says something of the value behind it.
                    self.skip()?;
                    self.needed(depth, "what stands behind `^`")?;
                    continue;
                }
                b'\'' | b'`' => {
                    self.skip()?;
                    continue;
                }
                b']' | b')' | b'}' => {
                    return Err(self.error(format!("`{}` closes nothing", char::from(byte))));
                }
                _ => self.atom()?,
            };
            return Ok(Some(value));
        }
    }

    fn needed(&mut self, depth: usize, what: &str) -> Result<Edn, ReadError> {
        match self.value(None, depth + 1)? {
            Some(value) => Ok(value),
            None => Err(self.error(format!("the text ends before {what}"))),
        }
    }

    fn sequence(&mut self, close: u8, depth: usize) -> Result<Vec<Edn>, ReadError> {
        let mut values = Vec::new();
        while let Some(value) = self.value(Some(close), depth + 1)? {
            values.push(value);
        }
        Ok(values)
    }

    fn map(&mut self, depth: usize, (line, column): (u32, usize)) -> Result<Edn, ReadError> {
        let values = self.sequence(b'}', depth)?;
        if !values.len().is_multiple_of(2) {
            return Err(ReadError::at(line, column, "the map has a key without a value"));
        }
        let mut values = values.into_iter();
        let mut entries = Vec::with_capacity(values.len() / 2);
        while let (Some(key), Some(value)) = (values.next(), values.next()) {
            entries.push((key, value));
        }
        Ok(Edn::Map(entries))
    }

    /// `#{…}` is a set, `#_` passes a value, `#name value` is the value, of which the name says what it is.
    fn tagged(&mut self, depth: usize) -> Result<Option<Edn>, ReadError> {
        self.skip()?;
        match self.peek()? {
            Some(b'{') => {
                self.skip()?;
                Ok(Some(Edn::Sequence(self.sequence(b'}', depth)?)))
            }
            Some(b'_') => {
                self.skip()?;
                self.needed(depth, "what `#_` leaves out")?;
                Ok(None)
            }
            _ => {
                let name = self.word()?;
                if name.starts_with('#') {
                    // `##NaN` and the like.
                    return Ok(Some(Edn::Number(name)));
                }
                self.needed(depth, &format!("the value of `#{name}`")).map(Some)
            }
        }
    }

    fn string(&mut self) -> Result<Edn, ReadError> {
        self.skip()?;
        let mut text = Vec::new();
        loop {
            match self.skip()? {
                None => return Err(self.error("the text ends within a string")),
                Some(b'"') => break,
                Some(b'\\') => match self.skip()? {
                    Some(b'n') => text.push(b'\n'),
                    Some(b't') => text.push(b'\t'),
                    Some(b'r') => text.push(b'\r'),
                    Some(b'u') => {
                        let mut code = 0;
                        for _ in 0..4 {
                            let digit = self.skip()?.and_then(|byte| char::from(byte).to_digit(16));
                            code = code * 16
                                + digit.ok_or_else(|| self.error("`\\u` needs four hexadecimal digits"))?;
                        }
                        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                        text.extend(character.encode_utf8(&mut [0; 4]).bytes());
                    }
                    Some(other) => text.push(other),
                    None => return Err(self.error("the text ends within a string")),
                },
                Some(byte) => text.push(byte),
            }
        }
        String::from_utf8(text)
            .map(Edn::Text)
            .map_err(|_| self.error("the string is not UTF-8"))
    }

    /// What stands up to a blank or a bracket.
    fn word(&mut self) -> Result<String, ReadError> {
        self.text.clear();
        while let Some(byte) = self.peek()? {
            let ends = matches!(
                byte,
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b';' | b'"' | b'(' | b')' | b'[' | b']' | b'{' | b'}'
            );
            if ends && !self.text.is_empty() {
                break;
            }
            self.text.push(byte);
            self.skip()?;
            if ends {
                break;
            }
        }
        std::str::from_utf8(&self.text)
            .map(str::to_owned)
            .map_err(|_| self.error("this is not UTF-8"))
    }

    fn atom(&mut self) -> Result<Edn, ReadError> {
        let word = self.word()?;
        if let Some(keyword) = word.strip_prefix(':') {
            return Ok(Edn::Keyword(keyword.trim_start_matches(':').to_owned()));
        }
        let starts = word.trim_start_matches(['+', '-']);
        if starts.starts_with(|c: char| c.is_ascii_digit()) {
            let digits = word.strip_suffix('N').unwrap_or(&word);
            let digits = digits.strip_prefix('+').unwrap_or(digits);
            return Ok(digits
                .parse()
                .map_or_else(|_| Edn::Number(word.clone()), Edn::Integer));
        }
        Ok(match word.as_str() {
            "nil" => Edn::Nil,
            "true" => Edn::Boolean(true),
            "false" => Edn::Boolean(false),
            _ => Edn::Symbol(word),
        })
    }
}
