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

/// A quote or a comment that never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} is never closed")]
pub struct SplitError {
    /// The byte offset of its opening.
    pub offset: usize,
    /// What was opened, as a person would say it.
    pub what: &'static str,
}

/// Splits `text` at each `;` that stands outside of quotes and comments. What holds only white space
/// and comments is left out; `/*! … */`, `/*T! … */` and `/*+ … */` are part of their statement.
///
/// # Errors
/// When a quote or a comment is never closed.
pub fn split(text: &str) -> Result<Vec<Piece<'_>>, SplitError> {
    let (found, unclosed) = tokens(text);
    if let Some(unclosed) = unclosed {
        return Err(SplitError {
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
    // The first and the last token of the statement at hand.
    let mut current: Option<(Token<'_>, Token<'_>)> = None;
    let mut in_executable = false;
    for token in found {
        match token.kind {
            TokenKind::Comment => continue,
            TokenKind::ExecutableOpen => in_executable = true,
            TokenKind::ExecutableClose => in_executable = false,
            _ => {}
        }
        if token.is_symbol(';') && !in_executable {
            pieces.extend(current.take().map(|ends| piece(text, ends)));
        } else {
            let first = current.map_or(token, |(first, _)| first);
            current = Some((first, token));
        }
    }
    pieces.extend(current.map(|ends| piece(text, ends)));
    Ok(pieces)
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
            ("select /*! 1; '*/' */; x", &["select /*! 1; '*/' */", "x"]),
            (
                "select /*+ use_index(t, i) */ 1; x",
                &["select /*+ use_index(t, i) */ 1", "x"],
            ),
            ("select 'ä;€'; ü", &["select 'ä;€'", "ü"]),
            ("select 1\u{a0}; x", &["select 1", "x"]),
        ];
        for (text, want) in cases {
            assert_eq!(&texts(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_never_closed_is_named_and_placed() {
        let cases = [
            ("x; select 'a", 10, "a text in '…'"),
            ("select \"a\"\"", 7, "a text in \"…\""),
            (r"select 'a\'", 7, "a text in '…'"),
            (r"'\", 0, "a text in '…'"),
            ("select `a", 7, "a name in `…`"),
            ("x /* a", 2, "a comment /* … */"),
            ("/*! a", 0, "a comment /* … */"),
            ("/*/", 0, "a comment /* … */"),
        ];
        for (text, offset, what) in cases {
            assert_eq!(split(text), Err(SplitError { offset, what }), "{text}");
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
