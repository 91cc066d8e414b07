//! Statements that were classified a moment ago: while a step runs, several parts of the engine ask about the same text.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::statement::{Statement, classify};

/// How many texts are kept for each thread. A scenario rarely has more, and all are forgotten when there are more.
const TEXTS_MAX: usize = 256;
/// The longest text that is kept, in bytes.
const LENGTH_MAX: usize = 4096;

thread_local! {
    static RECENT: RefCell<HashMap<Box<str>, Arc<Statement>>> = RefCell::default();
}

/// The same as [`classify`], which is asked only once for a text that comes again and again.
pub(crate) fn classified(sql: &str) -> Arc<Statement> {
    if sql.len() > LENGTH_MAX {
        return Arc::new(classify(sql));
    }
    RECENT.with_borrow_mut(|recent| {
        if let Some(known) = recent.get(sql) {
            return Arc::clone(known);
        }
        if recent.len() >= TEXTS_MAX {
            recent.clear();
        }
        let statement = Arc::new(classify(sql));
        recent.insert(sql.into(), Arc::clone(&statement));
        statement
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_classified_once_and_no_more_texts_are_kept_than_allowed() {
        let first = classified("select 1");
        assert!(Arc::ptr_eq(&first, &classified("select 1")));
        assert_eq!(*first, classify("select 1"));
        for number in 0..TEXTS_MAX {
            let sql = format!("update t set v = {number}");
            assert_eq!(*classified(&sql), classify(&sql));
        }
        assert!(RECENT.with_borrow(HashMap::len) <= TEXTS_MAX);
        assert_eq!(*classified("select 1"), *first);
    }

    #[test]
    fn a_long_text_is_not_kept() {
        let long = format!("select '{}'", "x".repeat(LENGTH_MAX));
        assert_eq!(*classified(&long), classify(&long));
        assert!(RECENT.with_borrow(|recent| !recent.contains_key(long.as_str())));
    }
}
