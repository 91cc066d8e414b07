//! Reads a transaction's line straight into a [`Transaction`], without a tree between them.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::history::Status;
use super::super::transaction::{Action, Transaction};
use super::super::value::{Names, Value};

/// What a line is read into.
pub(super) struct Line<'a> {
    pub(super) names: &'a mut Names,
    pub(super) transaction: &'a mut Transaction,
    pub(super) scratch: &'a mut Vec<Value>,
}

const FIELDS: &[&str] = &[
    "process",
    "invoke",
    "return",
    "status",
    "start_ts",
    "for_update_ts",
    "commit_ts",
    "place",
    "ops",
];

impl<'de> DeserializeSeed<'de> for &mut Line<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Line<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a transaction, such as {\"process\": 0, \"status\": \"ok\", \"ops\": [[\"append\", 5, 1]]}",
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut process, mut status, mut ops) = (false, false, false);
        while let Some(field) = map.next_key_seed(FieldSeed)? {
            match field {
                Field::Process => {
                    self.transaction.process = map.next_value_seed(ValueSeed(self.names))?;
                    process = true;
                }
                Field::Invoke => self.transaction.invoke = map.next_value()?,
                Field::Return => self.transaction.returned = map.next_value()?,
                Field::Status => {
                    self.transaction.status = map.next_value_seed(StatusSeed)?;
                    status = true;
                }
                Field::StartTs => self.transaction.start_ts = map.next_value()?,
                Field::ForUpdateTs => self.transaction.for_update_ts = map.next_value()?,
                Field::CommitTs => self.transaction.commit_ts = map.next_value()?,
                Field::Place => {
                    let place = map.next_value_seed(ValueSeed(self.names))?;
                    self.transaction.place = Some(place).filter(|place| !place.is_null());
                }
                Field::Ops => {
                    map.next_value_seed(OpsSeed(self))?;
                    ops = true;
                }
            }
        }
        if !process {
            return Err(A::Error::missing_field("process"));
        }
        if !status {
            return Err(A::Error::custom(
                "missing field `status`: \"ok\", \"failed\" or \"unknown\"",
            ));
        }
        if !ops {
            return Err(A::Error::missing_field("ops"));
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Field {
    Process,
    Invoke,
    Return,
    Status,
    StartTs,
    ForUpdateTs,
    CommitTs,
    Place,
    Ops,
}

/// A seed that reads a text, with what is made of it.
macro_rules! text_seed {
    ($seed:ident, $value:ty, $expecting:literal, |$text:ident, $error:ident| $read:expr) => {
        struct $seed;

        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_str(self)
            }
        }

        impl<'de> Visitor<'de> for $seed {
            type Value = $value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($expecting)
            }

            fn visit_str<$error: serde::de::Error>(self, $text: &str) -> Result<$value, $error> {
                $read
            }
        }
    };
}

text_seed!(FieldSeed, Field, "a field of a transaction", |text, E| Ok(
    match text {
        "process" => Field::Process,
        "invoke" => Field::Invoke,
        "return" => Field::Return,
        "status" => Field::Status,
        "start_ts" => Field::StartTs,
        "for_update_ts" => Field::ForUpdateTs,
        "commit_ts" => Field::CommitTs,
        "place" => Field::Place,
        "ops" => Field::Ops,
        other => return Err(E::unknown_field(other, FIELDS)),
    }
));

text_seed!(
    StatusSeed,
    Status,
    "\"ok\", \"failed\" or \"unknown\"",
    |text, E| match text {
        "ok" => Ok(Status::Ok),
        "failed" => Ok(Status::Failed),
        "unknown" => Ok(Status::Unknown),
        other => Err(E::unknown_variant(other, &["ok", "failed", "unknown"])),
    }
);

/// An integer, a text, or null.
struct ValueSeed<'a>(&'a mut Names);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn integer<E: serde::de::Error>(value: i64) -> Result<Value, E> {
    Value::integer(value).ok_or_else(|| E::custom(format!("{value} is too small; write it as a text")))
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an integer, a text, or null")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        integer(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        let value = i64::try_from(value);
        integer(value.map_err(|_| E::custom("the integer is beyond 2^63; write it as a text"))?)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(self.0.text(text))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::NULL)
    }
}

/// The operations.
struct OpsSeed<'a, 'b>(&'a mut Line<'b>);

impl<'de> DeserializeSeed<'de> for OpsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OpsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("operations, such as [[\"append\", 5, 1], [\"read\", 5, [1]]]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(OpSeed(self.0))?.is_some() {}
        Ok(())
    }
}

/// One operation: what it does, on what, and details at the end.
struct OpSeed<'a, 'b>(&'a mut Line<'b>);

#[derive(Clone, Copy)]
enum Verb {
    Append,
    Write,
    Read,
    Range,
    Count,
}

text_seed!(VerbSeed, Verb, "what an operation does", |text, E| match text {
    "append" => Ok(Verb::Append),
    "write" => Ok(Verb::Write),
    "read" => Ok(Verb::Read),
    "range" => Ok(Verb::Range),
    "count" => Ok(Verb::Count),
    other => Err(E::unknown_variant(
        other,
        &["append", "write", "read", "range", "count"]
    )),
});

impl<'de> DeserializeSeed<'de> for OpSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OpSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an operation, such as [\"append\", 5, 1], [\"read\", 5, [1]] or [\"range\", 0, 10, [[3, 7]]]",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let line = self.0;
        let missing = |what: &str| A::Error::custom(format!("the operation has no {what}"));
        let verb = seq.next_element_seed(VerbSeed)?.ok_or_else(|| missing("name"))?;
        match verb {
            Verb::Append | Verb::Write => {
                let key = seq
                    .next_element_seed(ValueSeed(line.names))?
                    .ok_or_else(|| missing("key"))?;
                let value = seq
                    .next_element_seed(ValueSeed(line.names))?
                    .ok_or_else(|| missing("value"))?;
                let append = matches!(verb, Verb::Append);
                line.transaction.push(if append {
                    Action::Append(key, value)
                } else {
                    Action::Write(key, value)
                });
            }
            Verb::Read => {
                let key = seq
                    .next_element_seed(ValueSeed(line.names))?
                    .ok_or_else(|| missing("key"))?;
                let seed = ReadSeed { line, key };
                seq.next_element_seed(seed)?.ok_or_else(|| {
                    missing(
                        "result; leave out reads that did not return, and write null for what isn't there",
                    )
                })?;
            }
            Verb::Range | Verb::Count => {
                let from: i64 = seq.next_element()?.ok_or_else(|| missing("first key"))?;
                let to: i64 = seq
                    .next_element()?
                    .ok_or_else(|| missing("key behind the last one"))?;
                if matches!(verb, Verb::Count) {
                    let count = seq.next_element()?.ok_or_else(|| missing("count"))?;
                    line.transaction.push(Action::Count(from, to, count));
                } else {
                    seq.next_element_seed(RowsSeed { line, from, to })?
                        .ok_or_else(|| missing("rows"))?;
                }
            }
        }
        if let Some(details) = seq.next_element::<Details<'de>>()? {
            details.put(line);
        }
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("the operation has too many parts")),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Details<'a> {
    ts: Option<u64>,
    #[serde(default)]
    lock: bool,
    time: Option<(u64, u64)>,
    #[serde(borrow)]
    place: Option<std::borrow::Cow<'a, str>>,
}

impl Details<'_> {
    fn put(self, line: &mut Line<'_>) {
        let place = self.place.map(|place| line.names.text(&place));
        if let Some(operation) = line.transaction.last_mut() {
            operation.read_ts = self.ts;
            operation.locking = self.lock;
            operation.time = self.time;
            operation.place = place;
        }
    }
}

/// What a read saw: a value, or a list.
struct ReadSeed<'a, 'b> {
    line: &'a mut Line<'b>,
    key: Value,
}

impl<'de> DeserializeSeed<'de> for ReadSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ReadSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was read: an integer, a text, null, or a list of these")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.line
            .transaction
            .push(Action::Read(self.key, integer(value)?));
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        let value = ValueSeed(self.line.names).visit_u64(value)?;
        self.line.transaction.push(Action::Read(self.key, value));
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let value = self.line.names.text(text);
        self.line.transaction.push(Action::Read(self.key, value));
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.line.transaction.push(Action::Read(self.key, Value::NULL));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.line.scratch.clear();
        while let Some(value) = seq.next_element_seed(ValueSeed(self.line.names))? {
            self.line.scratch.push(value);
        }
        self.line
            .transaction
            .read_list(self.key, self.line.scratch.iter().copied());
        Ok(())
    }
}

/// The rows of a range.
struct RowsSeed<'a, 'b> {
    line: &'a mut Line<'b>,
    from: i64,
    to: i64,
}

impl<'de> DeserializeSeed<'de> for RowsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let rows = Vec::<(i64, serde_json::Value)>::deserialize(deserializer)?;
        let mut read = Vec::new();
        for (key, value) in rows {
            let value = match value {
                serde_json::Value::String(text) => self.line.names.text(&text),
                serde_json::Value::Number(number) => integer(number.as_i64().ok_or_else(|| {
                    D::Error::custom(format!("{number} is no integer; write it as a text"))
                })?)?,
                other => {
                    return Err(D::Error::custom(format!(
                        "a row's value is an integer or a text, not {other}"
                    )));
                }
            };
            read.push((integer(key)?, value));
        }
        self.line.transaction.read_range(self.from, self.to, read);
        Ok(())
    }
}
