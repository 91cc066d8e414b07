//! Text with `${name}` in it.

use crate::history::{SqlValue, Vars, float_text};

/// Text with the variables that it names. `$${` stands for `${` itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template {
    source: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(String),
    /// The name, and where its `${` begins in the text (bytes).
    Variable(String, usize),
}

/// A mistake in a template's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`${{` without its `}}`")]
pub struct TemplateError {
    /// Where the `${` begins in the text (bytes).
    pub offset: usize,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A `${` that no `}` closes.
    pub fn read(text: &str) -> Result<Self, TemplateError> {
        let mut segments = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let offset = text.len() - rest.len() + at;
            if let Some(before) = rest[..at].strip_suffix('$') {
                plain.push_str(before);
                plain.push_str("${");
                rest = &rest[at + 2..];
                continue;
            }
            plain.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}') else {
                return Err(TemplateError { offset });
            };
            if !plain.is_empty() {
                segments.push(Segment::Text(std::mem::take(&mut plain)));
            }
            segments.push(Segment::Variable(
                rest[at + 2..at + end].trim().to_owned(),
                offset,
            ));
            rest = &rest[at + end + 1..];
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            segments.push(Segment::Text(plain));
        }
        Ok(Self {
            source: text.to_owned(),
            segments,
        })
    }

    /// The text as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The variables, each with the place of its `${` in the text.
    pub fn variables(&self) -> impl Iterator<Item = (&str, usize)> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Text(_) => None,
            Segment::Variable(name, offset) => Some((name.as_str(), *offset)),
        })
    }

    /// The text with every variable in its place.
    ///
    /// # Errors
    /// The name of the first variable that has no value.
    pub fn fill(&self, vars: &Vars) -> Result<String, String> {
        self.fill_with(|name| vars.get(name).map(plain_text))
    }

    /// The text with what `value` gives for each variable in its place.
    ///
    /// # Errors
    /// The name of the first variable for which it gives nothing.
    pub(super) fn fill_with(&self, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
        let mut text = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Text(plain) => text.push_str(plain),
                Segment::Variable(name, _) => match value(name) {
                    Some(value) => text.push_str(&value),
                    None => return Err(name.clone()),
                },
            }
        }
        Ok(text)
    }

    /// The text itself, if it names no variable.
    #[must_use]
    pub fn without_variables(&self) -> Option<String> {
        // A text without variables fills without any.
        self.fill(&Vars::new()).ok()
    }

    /// The value itself where the whole text is one variable, with its type; otherwise the filled text.
    ///
    /// # Errors
    /// The name of the first variable that has no value.
    pub fn value(&self, vars: &Vars) -> Result<SqlValue, String> {
        if let [Segment::Variable(name, _)] = self.segments.as_slice() {
            return vars.get(name).cloned().ok_or_else(|| name.clone());
        }
        self.fill(vars).map(SqlValue::Text)
    }
}

/// A value as it goes into SQL text: unquoted, since the text around it has the quotes.
fn plain_text(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => "NULL".to_owned(),
        SqlValue::Int(number) => number.to_string(),
        SqlValue::Float(number) => float_text(*number),
        SqlValue::Decimal(text) | SqlValue::Text(text) | SqlValue::Time(text) => text.clone(),
        SqlValue::Bytes(bytes) => format!("0x{}", hex::encode(bytes)),
        SqlValue::Json(json) => json.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let vars = Vars::from([
            ("a".to_owned(), SqlValue::Int(1)),
            ("b".to_owned(), SqlValue::Text("x".to_owned())),
        ]);
        Template::read(text)
            .map_err(|error| error.to_string())?
            .fill(&vars)
    }

    #[test]
    fn fills_what_it_knows_and_names_what_it_does_not() {
        assert_eq!(filled("id = ${a} and ${ b }"), Ok("id = 1 and x".to_owned()));
        assert_eq!(filled("$${a} costs $5"), Ok("${a} costs $5".to_owned()));
        assert_eq!(filled("${c}"), Err("c".to_owned()));
        assert_eq!(filled("x ${a"), Err("`${` without its `}`".to_owned()));
    }
}
