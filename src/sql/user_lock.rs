//! User-level locks: what a statement's calls of GET_LOCK and RELEASE_LOCK are about.

use super::cursor::Cursor;
use super::lexer::{Token, TokenKind, unquote};

/// Which function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserLockFunction {
    /// `GET_LOCK`.
    Get,
    /// `RELEASE_LOCK`.
    Release,
    /// `RELEASE_ALL_LOCKS`.
    ReleaseAll,
    /// `IS_FREE_LOCK`, `IS_USED_LOCK`.
    Look,
}

/// How the name of a user-level lock is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserLockName {
    /// As a literal; in lower case, since the server takes `A` and `a` for the same lock.
    Literal(String),
    /// By an expression that begins with the session's database, such as `DATABASE()` or
    /// `CONCAT(DATABASE(), '.leader')`: in small letters and without blanks. No other trial has this name.
    OfDatabase(String),
    /// By the parameter of this number, from 0: `GET_LOCK(?, 1)`.
    Parameter(usize),
    /// Otherwise: only the server knows it.
    Unknown,
}

impl UserLockName {
    /// What tells this name from others, where the text does: a literal, or an expression of the database.
    #[must_use]
    pub fn told(&self) -> Option<&str> {
        match self {
            Self::Literal(name) | Self::OfDatabase(name) => Some(name),
            Self::Parameter(_) | Self::Unknown => None,
        }
    }
}

/// The name of a lock that a text tells as [`UserLockName::told`], in a session of this database. Nothing for an expression
/// that only the server computes.
#[must_use]
pub fn user_lock_in(told: &str, database: &str) -> Option<String> {
    if ["database()", "schema()"].contains(&told) {
        return Some(database.to_lowercase());
    }
    match told.strip_prefix("concat(database(),'") {
        Some(rest) => {
            let rest = rest.strip_suffix("')").filter(|rest| !rest.contains('\''))?;
            Some(format!("{}{rest}", database.to_lowercase()))
        }
        None if told.contains("database(") || told.contains("schema(") => None,
        None => Some(told.to_lowercase()),
    }
}

/// One call in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLockCall {
    /// The function.
    pub function: UserLockFunction,
    /// The lock's name.
    pub name: UserLockName,
    /// The column of the result that has just what the call returned; `None` where it stands within an expression, or
    /// where there is no result.
    pub column: Option<usize>,
}

const FUNCTIONS: &[(&str, UserLockFunction)] = &[
    ("get_lock", UserLockFunction::Get),
    ("release_lock", UserLockFunction::Release),
    ("release_all_locks", UserLockFunction::ReleaseAll),
    ("is_free_lock", UserLockFunction::Look),
    ("is_used_lock", UserLockFunction::Look),
];

/// All calls of a statement, in the order of its text.
pub(super) fn calls(cursor: &Cursor<'_>) -> Vec<UserLockCall> {
    let columns = columns(cursor);
    let mut calls = Vec::new();
    for (at, pair) in cursor.tokens.windows(2).enumerate() {
        let named = FUNCTIONS.iter().find(|(name, _)| pair[0].is_word(name));
        let Some((_, function)) = named.filter(|_| pair[1].is_symbol('(')) else {
            continue;
        };
        let argument = first_argument(&cursor.tokens[at + 2..]);
        let before = cursor.tokens[..at]
            .iter()
            .filter(|token| token.is_symbol('?'))
            .count();
        calls.push(UserLockCall {
            function: *function,
            name: match argument {
                [mark] if mark.is_symbol('?') => UserLockName::Parameter(before),
                _ => name(argument),
            },
            column: columns.iter().position(|start| *start == Some(at)),
        });
    }
    calls
}

/// The tokens of a function's first argument; `tokens` begin after its `(`.
fn first_argument<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let mut depth = 0_usize;
    let end = tokens.iter().position(|token| {
        match token.kind {
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')' | ',') if depth == 0 => return true,
            TokenKind::Symbol(')') => depth -= 1,
            _ => {}
        }
        false
    });
    &tokens[..end.unwrap_or(tokens.len())]
}

fn name(argument: &[Token<'_>]) -> UserLockName {
    match argument {
        [text] if text.kind == TokenKind::Text => UserLockName::Literal(unquote(text.text).to_lowercase()),
        // A number is a name as well.
        [word] if word.text.bytes().all(|byte| byte.is_ascii_digit()) => {
            UserLockName::Literal(word.text.to_owned())
        }
        [first, ..] => {
            let begins = |tokens: &[Token<'_>]| match tokens {
                [function, open, close, ..] => {
                    (function.is_word("database") || function.is_word("schema"))
                        && open.is_symbol('(')
                        && close.is_symbol(')')
                }
                _ => false,
            };
            let concat = first.is_word("concat") && argument.get(1).is_some_and(|token| token.is_symbol('('));
            let literal = |token: &Token<'_>| {
                matches!(token.kind, TokenKind::Text | TokenKind::Symbol(',' | '(' | ')'))
            };
            let rest = if concat {
                argument.get(2..).filter(|rest| begins(rest))
            } else {
                Some(argument).filter(|rest| begins(rest))
            };
            match rest {
                // What follows must be the same for all who write the same.
                Some([_, _, _, rest @ ..]) if rest.iter().all(literal) && (concat || rest.is_empty()) => {
                    let text: Vec<String> = argument.iter().map(|token| token.text.to_lowercase()).collect();
                    UserLockName::OfDatabase(text.concat())
                }
                _ => UserLockName::Unknown,
            }
        }
        [] => UserLockName::Unknown,
    }
}

/// For each column of the result the place of a call that gives just its value; empty where columns cannot be counted.
fn columns(cursor: &Cursor<'_>) -> Vec<Option<usize>> {
    if !cursor.word(0, "select") {
        return Vec::new();
    }
    let mut depth = 0_usize;
    let mut starts = vec![1];
    let mut end = cursor.tokens.len();
    for (at, token) in cursor.tokens.iter().enumerate().skip(1) {
        match token.kind {
            TokenKind::Symbol('(') => depth += 1,
            TokenKind::Symbol(')') => match depth.checked_sub(1) {
                Some(less) => depth = less,
                // `(select …)`: the rest is not the list's.
                None => {
                    end = at;
                    break;
                }
            },
            TokenKind::Symbol(',') if depth == 0 => starts.push(at + 1),
            TokenKind::Symbol(';') => {
                end = at;
                break;
            }
            // Rows of others come beside those of the first, or rows are left out.
            TokenKind::Word if depth == 0 && ENDS_LIST.iter().any(|word| token.is_word(word)) => {
                return Vec::new();
            }
            _ => {}
        }
    }
    let items = starts.iter().enumerate().map(|(number, start)| {
        let to = starts.get(number + 1).map_or(end, |next| next - 1);
        (*start, cursor.tokens.get(*start..to).unwrap_or_default())
    });
    let items: Vec<_> = items.collect();
    if items
        .iter()
        .any(|(_, item)| item.last().is_some_and(|token| token.is_symbol('*')))
    {
        return Vec::new();
    }
    items
        .into_iter()
        .map(|(start, item)| {
            let call = item.first().zip(item.get(1)).is_some_and(|(name, open)| {
                FUNCTIONS.iter().any(|(function, _)| name.is_word(function)) && open.is_symbol('(')
            });
            // Nothing but an alias follows the call.
            let after = item.iter().skip(2);
            let mut depth = 1_usize;
            let rest: Vec<&Token<'_>> = after
                .skip_while(|token| {
                    match token.kind {
                        TokenKind::Symbol('(') => depth += 1,
                        TokenKind::Symbol(')') => depth -= 1,
                        _ => {}
                    }
                    depth > 0
                })
                .skip(1)
                .collect();
            let plain = match rest.as_slice() {
                [] => true,
                [alias] => alias.name().is_some(),
                [word, alias] => word.is_word("as") && alias.name().is_some(),
                _ => false,
            };
            (call && plain).then_some(start)
        })
        .collect()
}

/// Words after the list of a SELECT.
const ENDS_LIST: &[&str] = &[
    "from",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "union",
    "intersect",
    "except",
    "into",
    "for",
    "lock",
    "window",
    "procedure",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `g`, `r` or `a` for the function, then the name, then the column.
    fn told(sql: &str) -> Vec<String> {
        let calls = calls(&Cursor::new(sql));
        calls
            .iter()
            .map(|call| {
                let function = match call.function {
                    UserLockFunction::Get => "g",
                    UserLockFunction::Release => "r",
                    UserLockFunction::ReleaseAll => "a",
                    UserLockFunction::Look => "l",
                };
                let name = match &call.name {
                    UserLockName::Literal(name) => format!(" {name}"),
                    UserLockName::OfDatabase(text) => format!(" <{text}>"),
                    UserLockName::Parameter(number) => format!(" ?{number}"),
                    UserLockName::Unknown => " ?".to_owned(),
                };
                let column = call.column.map(|column| format!(" {column}"));
                format!("{function}{name}{}", column.unwrap_or_default())
            })
            .collect()
    }

    #[test]
    fn calls_are_found_wherever_they_stand() {
        let cases: &[(&str, &[&str])] = &[
            ("select get_lock('X', 1)", &["g x 0"]),
            ("select 1, GET_LOCK(\"a''b\", 1) as got", &["g a''b 1"]),
            (
                "select get_lock('a', 1), get_lock('b', 1) b, 2",
                &["g a 0", "g b 1"],
            ),
            ("select 1 + get_lock('a', 1)", &["g a"]),
            ("select get_lock('a', 1) = 1", &["g a"]),
            ("select get_lock('a', 1) from t", &["g a"]),
            ("select *, get_lock('a', 1)", &["g a"]),
            ("select if(x, get_lock('a', 1), 0)", &["g a"]),
            ("select get_lock(5, 1)", &["g 5 0"]),
            ("select get_lock(database(), 0)", &["g <database()> 0"]),
            (
                "select get_lock(concat(database(), '.x'), 0)",
                &["g <concat(database(),'.x')> 0"],
            ),
            ("select get_lock(concat(database(), @a), 0)", &["g ? 0"]),
            ("select get_lock(concat('x', 'y'), 0)", &["g ? 0"]),
            ("select get_lock('a' 'b', 0)", &["g ? 0"]),
            ("select ?, get_lock(?, ?)", &["g ?1 1"]),
            ("select is_free_lock('A'), is_used_lock('b')", &["l a 0", "l b 1"]),
            ("do get_lock('a', 1)", &["g a"]),
            ("set @x = get_lock('a', 1)", &["g a"]),
            ("select 1 from t where get_lock('a', 1)", &["g a"]),
            ("insert into t values (get_lock('a', 1))", &["g a"]),
            ("select get_lock('a', release_lock('b'))", &["g a 0", "r b"]),
            (
                "select release_lock('A'), release_all_locks()",
                &["r a 0", "a ? 1"],
            ),
            ("select get_lock('a', 1) union select 2", &["g a"]),
            ("select get_lock('a', 1);", &["g a 0"]),
            ("(select get_lock('a', 1))", &["g a 0"]),
            ("select 'get_lock(1)', get_lock from t", &[]),
        ];
        for (sql, want) in cases {
            assert_eq!(&told(sql), want, "{sql}");
        }
    }
}
