//! What stands in a history for a key, a value or a process: an integer, a text, or nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// An integer, a text, or null, in eight bytes. Texts are kept once, in [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(i64);

/// Integers below this one stand for texts.
const INTEGERS_FROM: i64 = i64::MIN + 1 + u32::MAX as i64 + 1;

impl Value {
    /// Absent: SQL's NULL, a row that isn't there, Clojure's nil.
    pub const NULL: Self = Self(i64::MIN);

    /// An integer; `None` for the 2^32 smallest ones, which stand for texts.
    #[must_use]
    pub fn integer(value: i64) -> Option<Self> {
        (value >= INTEGERS_FROM).then_some(Self(value))
    }

    /// The integer that it is.
    #[must_use]
    pub fn as_integer(self) -> Option<i64> {
        (self.0 >= INTEGERS_FROM).then_some(self.0)
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(self) -> bool {
        self == Self::NULL
    }

    fn text(index: usize) -> Self {
        let index = u32::try_from(index).expect("at most 2^32 texts");
        Self(i64::MIN + 1 + i64::from(index))
    }

    fn text_index(self) -> Option<usize> {
        if self.is_null() || self.0 >= INTEGERS_FROM {
            return None;
        }
        usize::try_from(self.0 - i64::MIN - 1).ok()
    }

    pub(super) fn bits(self) -> i64 {
        self.0
    }

    pub(super) fn from_bits(bits: i64) -> Self {
        Self(bits)
    }
}

/// The texts of a history, each once.
#[derive(Debug, Clone, Default)]
pub struct Names {
    texts: Vec<Box<str>>,
    known: HashMap<Box<str>, Value>,
}

impl Names {
    /// The value of a text.
    pub fn text(&mut self, text: &str) -> Value {
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let value = Value::text(self.texts.len());
        self.texts.push(text.into());
        self.known.insert(text.into(), value);
        value
    }

    /// How a value reads: `5`, `alice`, `nil`.
    #[must_use]
    pub fn show(&self, value: Value) -> Cow<'_, str> {
        match (value.as_integer(), self.as_text(value)) {
            (Some(integer), _) => Cow::Owned(integer.to_string()),
            (None, Some(text)) => Cow::Borrowed(text),
            (None, None) => Cow::Borrowed("nil"),
        }
    }

    /// The text that a value is.
    #[must_use]
    pub fn as_text(&self, value: Value) -> Option<&str> {
        self.texts.get(value.text_index()?).map(AsRef::as_ref)
    }
}

/// A hash for integers that are no one's to choose with ill intent: a multiplication and a fold.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct IntegerHasher(u64);

impl Hasher for IntegerHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ value);
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value.cast_unsigned());
    }
}

/// Spreads the bits of an integer.
pub(super) fn mix(value: u64) -> u64 {
    let wide = u128::from(value ^ 0x9E37_79B9_7F4A_7C15) * 0xA076_1D64_78BD_642F_u128;
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are folded")]
    let folded = (wide >> 64) as u64 ^ wide as u64;
    folded
}

/// A map by integers.
pub(super) type IntegerMap<K, V> = HashMap<K, V, BuildHasherDefault<IntegerHasher>>;

/// A map from the values that are written to one key to where they were written, used for one key after the other:
/// it is emptied in no time, and stays as small as the key.
#[derive(Debug, Default)]
pub(super) struct ValueIndex {
    slots: Vec<(u32, u32, i64)>,
    mask: usize,
    round: u32,
}

impl ValueIndex {
    /// Empties it, and makes room.
    pub(super) fn start(&mut self, count: usize) {
        let size = (count * 2).next_power_of_two().max(8);
        if self.slots.len() < size {
            self.slots.resize(size, (0, 0, 0));
        }
        self.mask = size - 1;
        self.round = self.round.checked_add(1).unwrap_or_else(|| {
            self.slots.fill((0, 0, 0));
            1
        });
    }

    fn slot(&self, value: Value) -> Result<usize, usize> {
        #[expect(clippy::cast_possible_truncation, reason = "masked")]
        let mut at = mix(value.bits().cast_unsigned()) as usize & self.mask;
        loop {
            let (round, _, key) = self.slots[at];
            if round != self.round {
                return Err(at);
            }
            if key == value.bits() {
                return Ok(at);
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Notes where a value was written; the place that was known already, if one was (it stays).
    pub(super) fn insert(&mut self, value: Value, place: u32) -> Option<u32> {
        match self.slot(value) {
            Ok(at) => Some(self.slots[at].1),
            Err(at) => {
                self.slots[at] = (self.round, place, value.bits());
                None
            }
        }
    }

    /// Where a value was written.
    pub(super) fn get(&self, value: Value) -> Option<u32> {
        self.slot(value).ok().map(|at| self.slots[at].1)
    }
}
