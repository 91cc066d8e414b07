//! Cells between the driver and the history, told apart by the column's SQL type.

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Value};

use crate::history::{Json, SqlValue};

/// The number of the character set `binary`, which tells BLOB from TEXT.
const BINARY: u16 = 63;

/// A cell as data. Both protocols end here: text cells are read by the column's type.
pub(super) fn from_driver(value: Value, column: &Column) -> SqlValue {
    match value {
        Value::NULL => SqlValue::Null,
        Value::Int(number) => SqlValue::Int(number.into()),
        Value::UInt(number) => SqlValue::Int(number.into()),
        // Widened by its decimal text: 0.1 as FLOAT is 0.1, not 0.10000000149011612.
        Value::Float(number) => SqlValue::Float(number.to_string().parse().unwrap_or(number.into())),
        Value::Double(number) => SqlValue::Float(number),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let date = format!("{year:04}-{month:02}-{day:02}");
            if column.column_type() == ColumnType::MYSQL_TYPE_DATE {
                SqlValue::Time(date)
            } else {
                let fraction = fraction(micros, column.decimals());
                SqlValue::Time(format!("{date} {hour:02}:{minute:02}:{second:02}{fraction}"))
            }
        }
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let sign = if negative { "-" } else { "" };
            let hours = days * 24 + u32::from(hours);
            let fraction = fraction(micros, column.decimals());
            SqlValue::Time(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"))
        }
        Value::Bytes(bytes) => from_bytes(bytes, column),
    }
}

fn fraction(micros: u32, decimals: u8) -> String {
    match usize::from(decimals) {
        0 => String::new(),
        digits => format!(".{}", &format!("{micros:06}")[..digits.min(6)]),
    }
}

fn from_bytes(bytes: Vec<u8>, column: &Column) -> SqlValue {
    use ColumnType as T;
    let kind = column.column_type();
    if kind == T::MYSQL_TYPE_BIT {
        let number = bytes
            .iter()
            .fold(0_i128, |sum, byte| (sum << 8) | i128::from(*byte));
        return SqlValue::Int(number);
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return SqlValue::Bytes(error.into_bytes()),
    };
    match kind {
        T::MYSQL_TYPE_TINY
        | T::MYSQL_TYPE_SHORT
        | T::MYSQL_TYPE_INT24
        | T::MYSQL_TYPE_LONG
        | T::MYSQL_TYPE_LONGLONG
        | T::MYSQL_TYPE_YEAR => text.parse().map_or(SqlValue::Text(text), SqlValue::Int),
        T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => SqlValue::Decimal(text),
        T::MYSQL_TYPE_FLOAT | T::MYSQL_TYPE_DOUBLE => {
            text.parse().map_or(SqlValue::Text(text), SqlValue::Float)
        }
        T::MYSQL_TYPE_DATE
        | T::MYSQL_TYPE_NEWDATE
        | T::MYSQL_TYPE_DATETIME
        | T::MYSQL_TYPE_DATETIME2
        | T::MYSQL_TYPE_TIMESTAMP
        | T::MYSQL_TYPE_TIMESTAMP2
        | T::MYSQL_TYPE_TIME
        | T::MYSQL_TYPE_TIME2 => SqlValue::Time(text),
        T::MYSQL_TYPE_JSON => Json::of_text(&text).map_or(SqlValue::Text(text), SqlValue::Json),
        _ if column.character_set() == BINARY => SqlValue::Bytes(text.into_bytes()),
        _ => SqlValue::Text(text),
    }
}

/// The column's type as a person would write it.
pub(super) fn sql_type(column: &Column) -> String {
    use ColumnType as T;
    let binary = column.character_set() == BINARY;
    let flags = column.flags();
    let name = match column.column_type() {
        _ if flags.contains(ColumnFlags::ENUM_FLAG) => "enum",
        _ if flags.contains(ColumnFlags::SET_FLAG) => "set",
        T::MYSQL_TYPE_TINY => "tinyint",
        T::MYSQL_TYPE_SHORT => "smallint",
        T::MYSQL_TYPE_INT24 => "mediumint",
        T::MYSQL_TYPE_LONG => "int",
        T::MYSQL_TYPE_LONGLONG => "bigint",
        T::MYSQL_TYPE_YEAR => "year",
        T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => "decimal",
        T::MYSQL_TYPE_FLOAT => "float",
        T::MYSQL_TYPE_DOUBLE => "double",
        T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_NEWDATE => "date",
        T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_DATETIME2 => "datetime",
        T::MYSQL_TYPE_TIMESTAMP | T::MYSQL_TYPE_TIMESTAMP2 => "timestamp",
        T::MYSQL_TYPE_TIME | T::MYSQL_TYPE_TIME2 => "time",
        T::MYSQL_TYPE_JSON => "json",
        T::MYSQL_TYPE_BIT => "bit",
        T::MYSQL_TYPE_NULL => "null",
        T::MYSQL_TYPE_STRING if binary => "binary",
        T::MYSQL_TYPE_STRING => "char",
        T::MYSQL_TYPE_VARCHAR | T::MYSQL_TYPE_VAR_STRING if binary => "varbinary",
        T::MYSQL_TYPE_VARCHAR | T::MYSQL_TYPE_VAR_STRING => "varchar",
        T::MYSQL_TYPE_TINY_BLOB
        | T::MYSQL_TYPE_MEDIUM_BLOB
        | T::MYSQL_TYPE_LONG_BLOB
        | T::MYSQL_TYPE_BLOB
            if binary =>
        {
            "blob"
        }
        T::MYSQL_TYPE_TINY_BLOB
        | T::MYSQL_TYPE_MEDIUM_BLOB
        | T::MYSQL_TYPE_LONG_BLOB
        | T::MYSQL_TYPE_BLOB => "text",
        _ => "unknown",
    };
    let unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG)
        && matches!(
            name,
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float" | "double"
        );
    if unsigned {
        format!("{name} unsigned")
    } else {
        name.to_owned()
    }
}

/// A value as a parameter of a prepared statement.
pub(super) fn to_driver(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::NULL,
        SqlValue::Int(number) => i64::try_from(*number).map_or_else(
            |_| {
                u64::try_from(*number)
                    .map_or_else(|_| Value::Bytes(number.to_string().into_bytes()), Value::UInt)
            },
            Value::Int,
        ),
        SqlValue::Float(number) => Value::Double(*number),
        SqlValue::Decimal(text) | SqlValue::Text(text) | SqlValue::Time(text) => {
            Value::Bytes(text.clone().into_bytes())
        }
        SqlValue::Bytes(bytes) => Value::Bytes(bytes.clone()),
        SqlValue::Json(json) => Value::Bytes(json.to_string().into_bytes()),
    }
}
