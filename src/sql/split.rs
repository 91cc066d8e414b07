//! Splits a setup text into its statements.

use super::lexer::{Token, TokenKind, tokens};

/// One statement of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The statement without its `;`, without white space and comments around it. Comments inside
    /// it stay.
    pub text: &'a str,
    /// The byte offset of its start in the whole text.
    pub offset: usize,
}

/// Why a text cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A quote or a comment never ends. A server refuses such a text whole.
    #[error("{what} is never closed")]
    Unclosed {
        /// The byte offset of its opening.
        offset: usize,
        /// What was opened, as a person would say it.
        what: &'static str,
    },
    /// A `;` in a comment that the server executes.
    #[error("this `;` is inside a comment that the server executes")]
    InComment {
        /// The byte offset of the comment.
        offset: usize,
    },
    /// `delimiter` in the place of a statement.
    #[error("`delimiter` is a command of the mysql client, which the server does not know")]
    Delimiter {
        /// Its byte offset.
        offset: usize,
    },
}

impl SplitError {
    /// The byte offset of what is wrong.
    #[must_use]
    pub fn offset(&self) -> usize {
        match self {
            Self::Unclosed { offset, .. } | Self::InComment { offset } | Self::Delimiter { offset } => {
                *offset
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Unclosed { .. } => "opened here",
            Self::InComment { .. } => "end the comment before the `;`, and begin another one after it",
            Self::Delimiter { .. } => "leave it out: a `;` inside of BEGIN … END ends no statement here",
        }
    }
}

/// Splits `text` at each `;` that stands outside of quotes, comments, and the `BEGIN … END` of a procedure, a
/// function, a trigger or an event. What holds only white space and comments is left out; `/*! … */`, `/*T! … */`
/// and `/*+ … */` are part of their statement.
///
/// # Errors
/// When a quote or a comment is never closed, when a `;` is inside a comment that the server executes, and where
/// `delimiter` stands in the place of a statement: it is a command of the `mysql` client.
pub fn split(text: &str) -> Result<Vec<Piece<'_>>, SplitError> {
    let (found, unclosed) = tokens(text);
    if let Some(unclosed) = unclosed {
        return Err(SplitError::Unclosed {
            offset: unclosed.offset,
            what: match unclosed.opening {
                "'" => "a text in '…'",
                "\"" => "a text in \"…\"",
                "`" => "a name in `…`",
                _ => "a comment /* … */",
            },
        });
    }
    let mut pieces = Vec::new();
    for part in parts(&found) {
        if let Some(offset) = parted(part) {
            return Err(SplitError::InComment { offset });
        }
        let mut code = part.iter().filter(|token| token.kind != TokenKind::Comment);
        let Some(first) = code.next() else { continue };
        let last = code.next_back().unwrap_or(first);
        if first.is_word("delimiter") {
            return Err(SplitError::Delimiter { offset: first.offset });
        }
        pieces.push(piece(text, (*first, *last)));
    }
    Ok(pieces)
}

/// How many statements a server finds in a text. One that it refuses whole counts as one.
#[must_use]
pub fn statement_count(text: &str) -> usize {
    if !text.contains(';') {
        return 1;
    }
    match split(text) {
        Ok(pieces) => pieces.len(),
        Err(SplitError::Unclosed { .. } | SplitError::Delimiter { .. }) => 1,
        Err(SplitError::InComment { .. }) => 2,
    }
}

/// What stands between the `;` that end statements, comments among it.
pub(super) fn parts<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<&'t [Token<'a>]> {
    let mut parts = Vec::new();
    let mut from = 0;
    let mut body = Body::default();
    let closes = |at: usize| {
        let mut after = tokens[at + 1..]
            .iter()
            .filter(|token| token.kind != TokenKind::Comment);
        after
            .next()
            .is_some_and(|token| token.kind == TokenKind::ExecutableClose)
    };
    for (at, token) in tokens.iter().enumerate() {
        // `/*! select 1; */` is one statement.
        if token.is_symbol(';') && body.depth == 0 && !closes(at) {
            parts.push(&tokens[from..at]);
            from = at + 1;
            body = Body::default();
        } else if token.is_code() {
            body.take(token);
        }
    }
    parts.push(&tokens[from..]);
    parts
}

/// Where a statement was cut within a comment that the server executes: its opening, or the close that has none.
fn parted(part: &[Token<'_>]) -> Option<usize> {
    let mut open = None;
    for token in part {
        match token.kind {
            TokenKind::ExecutableOpen => open = Some(token.offset),
            TokenKind::ExecutableClose if open.is_none() => return Some(token.offset),
            TokenKind::ExecutableClose => open = None,
            _ => {}
        }
    }
    open
}

/// How deep a `BEGIN … END` is, in those statements that have one.
#[derive(Default)]
struct Body {
    words: usize,
    creates: bool,
    has_body: bool,
    depth: usize,
    /// The depth before the END that was the last word: `END IF` ends no BEGIN.
    before_end: Option<usize>,
}

/// What CREATE makes that has no body, and may be called `event`.
const NO_BODY: &[&str] = &[
    "table",
    "view",
    "index",
    "user",
    "role",
    "database",
    "schema",
    "sequence",
    "binding",
    "resource",
    "placement",
    "statistics",
];

impl Body {
    fn take(&mut self, token: &Token<'_>) {
        let any = |words: &[&str]| words.iter().any(|word| token.is_word(word));
        self.words += 1;
        match self.words {
            1 => self.creates = any(&["create"]),
            // CREATE DEFINER = a@b SQL SECURITY INVOKER PROCEDURE and the like.
            _ if self.creates && !self.has_body => {
                self.has_body = any(&["procedure", "function", "trigger", "event"]);
                self.creates = !any(NO_BODY);
            }
            _ if self.has_body => {
                let before_end = self.before_end.take();
                if any(&["end"]) {
                    self.before_end = Some(self.depth);
                    self.depth = self.depth.saturating_sub(1);
                } else if let Some(depth) = before_end {
                    if any(&["if", "loop", "repeat", "while"]) {
                        self.depth = depth;
                    }
                } else if any(&["begin", "case"]) {
                    self.depth += 1;
                }
            }
            _ => {}
        }
    }
}

fn piece<'a>(text: &'a str, (first, last): (Token<'_>, Token<'_>)) -> Piece<'a> {
    Piece {
        text: &text[first.offset..last.end()],
        offset: first.offset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<&str> {
        let pieces = split(text).unwrap();
        for piece in &pieces {
            assert_eq!(&text[piece.offset..][..piece.text.len()], piece.text);
        }
        pieces.into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn statements_end_at_semicolons_outside_of_quotes_and_comments() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" ;; ; ", &[]),
            ("select 1", &["select 1"]),
            (
                "select 1;\n select 2 ;\nselect 3",
                &["select 1", "select 2", "select 3"],
            ),
            ("select ';'; select \";\"", &["select ';'", "select \";\""]),
            ("select 1 as `a;b`; x", &["select 1 as `a;b`", "x"]),
            (r"select '\';'; x", &[r"select '\';'", "x"]),
            (r"select '\\'; x", &[r"select '\\'", "x"]),
            (r"select `\`; x", &[r"select `\`", "x"]),
            ("select ''';'; x", &["select ''';'", "x"]),
            (r#"select "";'' ; x"#, &[r#"select """#, "''", "x"]),
            (
                "select `a``;`; select \"a\"\";\"; x",
                &["select `a``;`", "select \"a\"\";\"", "x"],
            ),
            ("-- a; b\nselect 1; -- c;\n", &["select 1"]),
            ("# a; b\nselect 1 # c;\n", &["select 1"]),
            ("select 1 -- c;\n + 2", &["select 1 -- c;\n + 2"]),
            ("select 1 --1; x", &["select 1 --1", "x"]),
            ("select 1;--", &["select 1"]),
            ("select 1;--\tx;", &["select 1"]),
            ("/* a; ' */ select 1 /* ; */; x", &["select 1", "x"]),
            ("/* only */; -- this", &[]),
            (
                "/*!40101 set names utf8mb4 */; x",
                &["/*!40101 set names utf8mb4 */", "x"],
            ),
            (
                "create table t (id int /*T![auto_rand] auto_random */); x",
                &["create table t (id int /*T![auto_rand] auto_random */)", "x"],
            ),
            ("/*! select '*/;'; */; x", &["/*! select '*/;'; */", "x"]),
            (
                "select /*+ use_index(t, i) */ 1; x",
                &["select /*+ use_index(t, i) */ 1", "x"],
            ),
            ("select 'ä;€'; ü", &["select 'ä;€'", "ü"]),
            ("select 1\u{a0}; x", &["select 1", "x"]),
            (
                "/*! begin */; /*!99999 x */ y;",
                &["/*! begin */", "/*!99999 x */ y"],
            ),
            (
                "create definer = a@b procedure p() begin select 1; if x then begin y; end; end if; end; z",
                &[
                    "create definer = a@b procedure p() begin select 1; if x then begin y; end; end if; end",
                    "z",
                ],
            ),
            (
                "create trigger g before insert on t for each row begin case x when 1 then y; end case; z; end; x",
                &[
                    "create trigger g before insert on t for each row begin case x when 1 then y; end case; z; end",
                    "x",
                ],
            ),
            (
                "create function f() returns int return case 1 when 1 then 2 end; x",
                &[
                    "create function f() returns int return case 1 when 1 then 2 end",
                    "x",
                ],
            ),
            (
                "create table event (id int); begin; x",
                &["create table event (id int)", "begin", "x"],
            ),
            (
                "create view procedure_begin as select 1; begin; x",
                &["create view procedure_begin as select 1", "begin", "x"],
            ),
        ];
        for (text, want) in cases {
            assert_eq!(&texts(text), want, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_split_is_named_and_placed() {
        let cases = [
            ("x; select 'a", 10, "a text in '…' is never closed"),
            ("select \"a\"\"", 7, "a text in \"…\" is never closed"),
            (r"select 'a\'", 7, "a text in '…' is never closed"),
            (r"'\", 0, "a text in '…' is never closed"),
            ("select `a", 7, "a name in `…` is never closed"),
            ("x /* a", 2, "a comment /* … */ is never closed"),
            ("/*! a", 0, "a comment /* … */ is never closed"),
            ("/*/", 0, "a comment /* … */ is never closed"),
            (
                "x; /*! begin; y */",
                3,
                "this `;` is inside a comment that the server executes",
            ),
            (
                "x; delimiter //\ny",
                3,
                "`delimiter` is a command of the mysql client, which the server does not know",
            ),
        ];
        for (text, offset, what) in cases {
            let error = split(text).unwrap_err();
            assert_eq!(
                (error.offset(), error.to_string().as_str()),
                (offset, what),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_or_refused(text in "\\PC*") {
            let _ = split(&text);
        }

        #[test]
        fn any_mix_of_marks_is_split_or_refused(text in "[-'\"`;#/*!+Tab\\\\ \n]{0,40}") {
            if let Ok(pieces) = split(&text) {
                for piece in pieces {
                    prop_assert!(!piece.text.trim().is_empty());
                    prop_assert_eq!(piece.text.trim(), piece.text);
                    prop_assert_eq!(&text[piece.offset..][..piece.text.len()], piece.text);
                    // A piece is one statement: it splits into itself. (`--;` has no comment, `--` is one.)
                    if !piece.text.ends_with("--") {
                        let whole = Piece { text: piece.text, offset: 0 };
                        prop_assert_eq!(split(piece.text), Ok(vec![whole]));
                    }
                }
            }
        }

        #[test]
        fn joined_statements_come_apart_again(
            statements in prop::collection::vec(
                prop_oneof![
                    Just("select 1"), Just("insert into t values ('a;b')"),
                    Just("select `;` from t"), Just("select \"\\\";\""), Just("select 1 /* ; */ + 1"),
                ],
                0..6,
            ),
            glue in prop_oneof![Just(";"), Just(" ;\n"), Just("; -- it's;\n"), Just(";/*'*/;")],
        ) {
            let text = statements.join(glue);
            prop_assert_eq!(texts(&text), statements);
        }
    }
}
