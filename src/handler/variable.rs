//! Rust types that variables can have.

use crate::history::SqlValue;

/// A Rust type that a scenario's variable can have.
pub trait Variable: Sized {
    /// What it is in words, for errors.
    const WHAT: &'static str;

    /// The variable's value.
    fn into_value(self) -> SqlValue;

    /// The value, if the variable is of this type. Numbers of the database that fit are numbers here.
    fn from_value(value: &SqlValue) -> Option<Self>;
}

macro_rules! whole_number {
    ($($type:ty),*) => {$(
        impl Variable for $type {
            const WHAT: &'static str = concat!("a whole number that fits ", stringify!($type));

            fn into_value(self) -> SqlValue {
                SqlValue::Int(self.into())
            }

            fn from_value(value: &SqlValue) -> Option<Self> {
                match value {
                    SqlValue::Int(number) => Self::try_from(*number).ok(),
                    // sum() of whole numbers is DECIMAL.
                    SqlValue::Decimal(digits) => digits.parse().ok(),
                    _ => None,
                }
            }
        }
    )*};
}

whole_number!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

impl Variable for f64 {
    const WHAT: &'static str = "a number";

    fn into_value(self) -> SqlValue {
        SqlValue::Float(self)
    }

    fn from_value(value: &SqlValue) -> Option<Self> {
        match value {
            SqlValue::Float(number) => Some(*number),
            SqlValue::Decimal(digits) => digits.parse().ok(),
            SqlValue::Int(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }
}

impl Variable for bool {
    const WHAT: &'static str = "0 or 1";

    fn into_value(self) -> SqlValue {
        SqlValue::Int(self.into())
    }

    fn from_value(value: &SqlValue) -> Option<Self> {
        match value {
            SqlValue::Int(0) => Some(false),
            SqlValue::Int(1) => Some(true),
            _ => None,
        }
    }
}

impl Variable for String {
    const WHAT: &'static str = "text";

    fn into_value(self) -> SqlValue {
        SqlValue::Text(self)
    }

    fn from_value(value: &SqlValue) -> Option<Self> {
        match value {
            SqlValue::Text(text) | SqlValue::Time(text) | SqlValue::Decimal(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl Variable for &str {
    const WHAT: &'static str = "text";

    fn into_value(self) -> SqlValue {
        SqlValue::Text(self.to_owned())
    }

    // Text can't be lent out of the shared state.
    fn from_value(_: &SqlValue) -> Option<Self> {
        None
    }
}

impl Variable for serde_json::Value {
    const WHAT: &'static str = "JSON";

    fn into_value(self) -> SqlValue {
        SqlValue::Json(self.into())
    }

    fn from_value(value: &SqlValue) -> Option<Self> {
        match value {
            SqlValue::Json(json) => Some(json.value().clone()),
            _ => None,
        }
    }
}

impl Variable for SqlValue {
    const WHAT: &'static str = "a value";

    fn into_value(self) -> SqlValue {
        self
    }

    fn from_value(value: &SqlValue) -> Option<Self> {
        Some(value.clone())
    }
}

/// None is SQL NULL.
impl<T: Variable> Variable for Option<T> {
    const WHAT: &'static str = T::WHAT;

    fn into_value(self) -> SqlValue {
        self.map_or(SqlValue::Null, T::into_value)
    }

    fn from_value(value: &SqlValue) -> Option<Self> {
        match value {
            SqlValue::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
}
