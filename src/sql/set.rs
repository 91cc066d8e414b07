//! What a SET statement assigns.

use super::cursor::Cursor;
use super::lexer::{Token, TokenKind, unquote};

/// What one SET statement assigns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetTargets {
    /// Session variables in lower case; user variables with their `@`.
    pub session: Vec<String>,
    /// Global and persisted variables in lower case.
    pub global: Vec<String>,
    /// The value, if the session's `autocommit` is set to a plain on or off.
    pub autocommit: Option<bool>,
}

/// What a SET that assigns no variable sets.
const SET_OTHER: &[&str] = &["role", "default", "config", "resource", "session_states"];

/// What a SET assigns; `None` where it sets something else than variables.
pub(super) fn targets(cursor: &Cursor<'_>) -> Option<SetTargets> {
    let assigns = cursor
        .tokens
        .get(2)
        .is_some_and(|token| token.is_symbol('=') || token.is_symbol(':'));
    // `SET PASSWORD = 'x'` is the account's, whatever it looks like.
    if cursor.word(1, "password") || (cursor.any_word(1, SET_OTHER) && !assigns) {
        return None;
    }
    if cursor.word(1, "binding") {
        return None;
    }
    let mut targets = SetTargets::default();
    // `SET GLOBAL a = 1, b = 2`: MySQL and TiDB take the scope word for its own variable only.
    for assignment in Cursor::parts(cursor.tokens.get(1..).unwrap_or_default()) {
        add_target(&assignment, &mut targets);
    }
    Some(targets)
}

fn add_target(assignment: &[Token<'_>], targets: &mut SetTargets) {
    let mut rest = assignment;
    let mut global = false;
    let mut at_signs = 0;
    while let [first, tail @ ..] = rest {
        if first.is_symbol('@') {
            at_signs += 1;
        } else if ["global", "persist", "persist_only"]
            .iter()
            .any(|w| first.is_word(w))
            && is_scope(tail)
        {
            global = true;
        } else if ["session", "local", "instance"].iter().any(|w| first.is_word(w)) && is_scope(tail) {
            // An instance variable is the whole server's as well.
            global = first.is_word("instance");
        } else if !first.is_symbol('.') {
            break;
        }
        rest = tail;
    }
    let [name, value @ ..] = rest else {
        return;
    };
    let bare = match name.kind {
        TokenKind::Text | TokenKind::QuotedName => unquote(name.text),
        _ => name.text.to_owned(),
    }
    .to_ascii_lowercase();
    if at_signs == 1 {
        targets.session.push(format!("@{bare}"));
        return;
    }
    let name = if bare == "transaction" && value.first().is_some_and(|t| !t.is_symbol('=')) {
        // SET TRANSACTION ISOLATION LEVEL … or READ ONLY.
        if value.first().is_some_and(|t| t.is_word("read")) {
            "transaction_read_only".to_owned()
        } else {
            "transaction_isolation".to_owned()
        }
    } else {
        bare
    };
    if global {
        targets.global.push(name);
        return;
    }
    if name == "autocommit" {
        // `SET autocommit = 0, autocommit = 1` has done both.
        let again = targets.session.contains(&name);
        targets.autocommit = on_or_off(value).filter(|_| !again);
    }
    targets.session.push(name);
}

/// The user variables that a SET gives a text to as it stands, with these texts; none of the value otherwise.
pub(super) fn user_texts(cursor: &Cursor<'_>) -> Vec<(String, Option<String>)> {
    let mut texts = Vec::new();
    for assignment in Cursor::parts(cursor.tokens.get(1..).unwrap_or_default()) {
        let [at, name, value @ ..] = assignment.as_slice() else {
            continue;
        };
        let (true, Some(name)) = (at.is_symbol('@'), name.name()) else {
            continue;
        };
        let mut value = value
            .iter()
            .skip_while(|token| token.is_symbol(':') || token.is_symbol('='));
        let text = match (value.next(), value.next()) {
            (Some(only), None) if only.kind == TokenKind::Text => Some(unquote(only.text)),
            _ => None,
        };
        texts.push((name.to_lowercase(), text));
    }
    texts
}

/// Whether a scope word is one: a name follows, or the dot of `@@global.x`.
fn is_scope(tail: &[Token<'_>]) -> bool {
    tail.first().is_some_and(|next| {
        next.is_symbol('.')
            || next.is_symbol('@')
            || matches!(next.kind, TokenKind::Word | TokenKind::QuotedName)
    })
}

fn on_or_off(value: &[Token<'_>]) -> Option<bool> {
    let literal: Vec<_> = value
        .iter()
        .skip_while(|token| token.is_symbol(':') || token.is_symbol('='))
        .collect();
    let [only] = literal.as_slice() else {
        return None;
    };
    let text = if only.kind == TokenKind::Text {
        unquote(only.text)
    } else {
        only.text.to_owned()
    };
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "true" => Some(true),
        "0" | "off" | "false" => Some(false),
        _ => None,
    }
}
