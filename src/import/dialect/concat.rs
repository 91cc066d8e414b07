//! `||`, which joins texts in the standard and means OR on TiDB.

use super::tokens::{Editor, Kind};

/// Puts `concat(…)` in the place of `||` between plain operands; tells of those between others.
pub(super) fn concat(editor: &mut Editor, notes: &mut Vec<String>) {
    let mut number = 0;
    while number < editor.len() {
        if !editor.has(number, &["||"]) {
            number += 1;
            continue;
        }
        let Some((start, end, operands)) = chain(editor, number) else {
            notes.push("|| joins texts there; here it means OR: write concat(…)".to_owned());
            number += 1;
            continue;
        };
        let call = format!("concat({})", operands.join(", "));
        editor.remove(start + 1, end);
        editor.set(start, call);
        number = end;
    }
}

/// The operands around the `||` with this number and those that follow it, and where they begin and end.
fn chain(editor: &Editor, sign: usize) -> Option<(usize, usize, Vec<String>)> {
    let start = begin_of_operand(editor, sign.checked_sub(1)?)?;
    let mut operands = vec![editor.slice(start, sign)];
    let mut end = sign;
    while editor.has(end, &["||"]) {
        let after = end_of_operand(editor, end + 1)?;
        operands.push(editor.slice(end + 1, after));
        end = after;
    }
    // Arithmetic binds more tightly than `||`, so that the operand would be more than the one next to it.
    let arithmetic = |number: usize| {
        let text = editor.text(number);
        ["+", "-", "*", "/", "%", "^", "::", "->", "->>"].contains(&text)
    };
    let around = start.checked_sub(1).is_some_and(arithmetic) || arithmetic(end);
    (!around).then_some((start, end, operands))
}

fn is_operand(editor: &Editor, number: usize) -> bool {
    editor.get(number).is_some_and(|token| match token.kind {
        Kind::Text | Kind::Quoted | Kind::Backquoted => true,
        // A literal that was changed is a word whose text is quoted.
        Kind::Word => !KEYWORDS.iter().any(|word| token.is(word)),
        Kind::Dollar | Kind::Comment | Kind::Space | Kind::Sign => false,
    })
}

const KEYWORDS: &[&str] = &[
    "select", "as", "and", "or", "not", "from", "where", "case", "when", "then", "else", "end",
];

/// Where the operand begins that ends with this token.
pub(super) fn begin_of_operand(editor: &Editor, last: usize) -> Option<usize> {
    if editor.text(last) != ")" {
        return is_operand(editor, last).then_some(last);
    }
    let open = (0..last)
        .rev()
        .find(|open| editor.text(*open) == "(" && editor.closing(*open) == Some(last))?;
    let called = open.checked_sub(1).filter(|name| is_operand(editor, *name));
    Some(called.unwrap_or(open))
}

/// The number behind the operand that begins with this token.
fn end_of_operand(editor: &Editor, first: usize) -> Option<usize> {
    if editor.text(first) == "(" {
        return editor.closing(first).map(|close| close + 1);
    }
    if !is_operand(editor, first) {
        return None;
    }
    if editor.text(first + 1) == "(" {
        return editor.closing(first + 1).map(|close| close + 1);
    }
    Some(first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_operands_are_joined_and_others_told() {
        for (sql, wanted, notes) in [
            ("select 'a' || b from t", "select concat('a', b) from t", 0),
            (
                "select a || '-' || f(b, c) || (d)",
                "select concat(a, '-', f(b, c), (d))",
                0,
            ),
            (
                "update t set v = t.v || ' x' where k = 1",
                "update t set v = concat(t.v, ' x') where k = 1",
                0,
            ),
            ("select a + 1 || b", "select a + 1 || b", 1),
            (
                "select lower(a) || b, c || d",
                "select concat(lower(a), b), concat(c, d)",
                0,
            ),
        ] {
            let mut editor = Editor::new(sql);
            let mut found = Vec::new();
            concat(&mut editor, &mut found);
            assert_eq!((editor.finish().as_str(), found.len()), (wanted, notes));
        }
    }
}
