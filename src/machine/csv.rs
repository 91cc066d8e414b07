//! Rows as the lines that `LOAD DATA LOCAL` is told to expect: commas between, text in double quotes,
//! NULL as `\N`.

use crate::history::SqlValue;

/// One line for each row.
pub(super) fn lines(rows: &[Vec<SqlValue>]) -> Vec<u8> {
    let mut all = Vec::new();
    for row in rows {
        for (number, cell) in row.iter().enumerate() {
            if number > 0 {
                all.push(b',');
            }
            push_cell(cell, &mut all);
        }
        all.push(b'\n');
    }
    all
}

fn push_cell(cell: &SqlValue, all: &mut Vec<u8>) {
    match cell {
        SqlValue::Null => all.extend(b"\\N"),
        SqlValue::Int(number) => all.extend(number.to_string().bytes()),
        SqlValue::Float(number) => all.extend(number.to_string().bytes()),
        SqlValue::Decimal(text) => all.extend(text.bytes()),
        SqlValue::Text(text) | SqlValue::Time(text) => push_quoted(text.as_bytes(), all),
        SqlValue::Bytes(bytes) => push_quoted(bytes, all),
        SqlValue::Json(json) => push_quoted(json.to_string().as_bytes(), all),
    }
}

fn push_quoted(bytes: &[u8], all: &mut Vec<u8>) {
    all.push(b'"');
    for byte in bytes {
        match byte {
            b'\\' | b'"' => all.extend([b'\\', *byte]),
            b'\n' => all.extend(b"\\n"),
            0 => all.extend(b"\\0"),
            other => all.push(*other),
        }
    }
    all.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_so_that_they_stay_one_cell() {
        let text = |text: &str| SqlValue::Text(text.to_owned());
        let cases = [
            (SqlValue::Null, "\\N"),
            (SqlValue::Int(-3), "-3"),
            (SqlValue::Decimal("1.50".to_owned()), "1.50"),
            (text(""), "\"\""),
            (text("a,b"), "\"a,b\""),
            (text("\\N"), "\"\\\\N\""),
            (text("a\"b\nc"), "\"a\\\"b\\nc\""),
            (SqlValue::Bytes(vec![0, b'x']), "\"\\0x\""),
            (
                SqlValue::Json(serde_json::json!({"a": [1]}).into()),
                "\"{\\\"a\\\":[1]}\"",
            ),
        ];
        for (cell, wanted) in cases {
            let line = lines(&[vec![cell.clone()]]);
            assert_eq!(String::from_utf8_lossy(&line), format!("{wanted}\n"), "{cell:?}");
        }
        assert_eq!(
            lines(&[vec![text("a"), SqlValue::Null], vec![]]),
            b"\"a\",\\N\n\n"
        );
    }
}
