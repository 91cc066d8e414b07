//! What the comments of Hermitage say: who sends a statement, whether it waits, what it shows.

use std::sync::LazyLock;

use regex::Regex;

use super::dialect::code_of_message;

/// What a statement shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// Rows, as pairs.
    Pairs(Vec<(String, String)>),
    /// Nothing at all.
    Nothing,
    /// An error, with TiDB's number where its text tells.
    Error(Option<u16>),
}

/// A comment behind a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Remark {
    /// The transaction, by its number; none for `either`.
    pub transaction: Option<usize>,
    /// Whether the statement waits.
    pub blocks: bool,
    /// The transactions whose waits it ends.
    pub unblocks: Vec<usize>,
    /// What it shows itself.
    pub own: Option<Shown>,
    /// What a statement shows that has waited so far.
    pub other: Option<(usize, Shown)>,
    /// What it says beyond all this, for people.
    pub text: String,
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static BEGIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?i:(?:T|session |transaction )(\d+)|either|any)\b[.,:;]?\s*"));
static BLOCKS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(blocks|waits)\b"));
static UNBLOCKS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bunblocks T(\d+)"));
/// What another transaction's statement does from here on.
static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:\bT(\d+)(?: now)? (?:prints|shows|returns|aborts)|unblocks T(\d+),? which(?: now)? (?:prints|shows|returns)|causes T(\d+) to (?:print|abort|fail))",
    )
});
static PAIR: LazyLock<Regex> = LazyLock::new(|| pattern(r"([\w.'-]+)\s*=>\s*([\w.'-]*[\w'-])"));
static NOTHING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:shows|returns|deletes|finds|changes) nothing(?: (?:now|yet|here|again|either))?(?:\s*[.,;:)]|\s*$)|\bdoesn't \w+ anything|\bno rows\b",
    )
});
static ERROR: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?i)\bprints?(?: out)? ["“']|\baborts?\b|\berror\b"#));

impl Remark {
    /// Reads a comment; none where it names no transaction.
    pub(super) fn read(comment: &str) -> Option<Self> {
        let comment = comment.trim();
        let begin = BEGIN.captures(comment)?;
        let transaction = begin.get(1).and_then(|number| number.as_str().parse().ok());
        let text = &comment[begin.get(0).map_or(0, |whole| whole.end())..];
        let other = OTHER.captures(text);
        let at = other
            .as_ref()
            .and_then(|found| found.get(0))
            .map_or(text.len(), |whole| whole.start());
        // A quoted message may have the words of this in it.
        let (own, rest) = text.split_at(at);
        let number = |found: &regex::Captures<'_>| {
            let number = found.iter().skip(1).flatten().next()?;
            number.as_str().parse::<usize>().ok()
        };
        let other = other
            .as_ref()
            .and_then(|found| Some((number(found)?, shown(rest)?)));
        let unblocks = UNBLOCKS
            .captures_iter(text)
            .filter_map(|found| found[1].parse().ok());
        Some(Self {
            transaction,
            blocks: BLOCKS.is_match(own),
            unblocks: unblocks.collect(),
            own: shown(own),
            other,
            text: if says_more(text) {
                text.trim().to_owned()
            } else {
                String::new()
            },
        })
    }
}

/// Words that say what is taken from them.
const TAKEN: &[&str] = &[
    "still",
    "now",
    "again",
    "shows",
    "returns",
    "this",
    "unblocks",
    "blocks",
    "waits",
    "nothing",
    "prints",
    "out",
    "which",
    "eventually",
    "the",
    "and",
    "so",
    "it",
];

/// Whether more than two words are left of a comment without what is taken from it.
fn says_more(text: &str) -> bool {
    let rest = PAIR.replace_all(text, "");
    let quoted = rest.find(['"', '“']).map_or(rest.len(), |at| at);
    let words = rest[..quoted].split(|c: char| !c.is_alphanumeric() && c != '\'');
    let transaction = |word: &str| word.starts_with('T') && word[1..].chars().all(|c| c.is_ascii_digit());
    let left = words.filter(|word| {
        !word.is_empty() && !transaction(word) && !TAKEN.contains(&word.to_ascii_lowercase().as_str())
    });
    left.count() > 2
}

fn shown(text: &str) -> Option<Shown> {
    let pairs: Vec<(String, String)> = PAIR
        .captures_iter(text)
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect();
    if !pairs.is_empty() {
        Some(Shown::Pairs(pairs))
    } else if NOTHING.is_match(text) {
        Some(Shown::Nothing)
    } else if ERROR.is_match(text) {
        Some(Shown::Error(code_of_message(text)))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &[(&str, &str)]) -> Option<Shown> {
        Some(Shown::Pairs(
            text.iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        ))
    }

    #[test]
    fn comments_as_people_write_them() {
        let read = |text| Remark::read(text).expect("a remark");
        assert_eq!(Remark::read("enable preview support"), None);
        let found = read("T2, BLOCKS");
        assert_eq!((found.transaction, found.blocks), (Some(2), true));
        let found = read("T1. This unblocks T2");
        assert_eq!(
            (found.transaction, found.blocks, found.unblocks),
            (Some(1), false, vec![2])
        );
        assert_eq!(read("T2. Still shows 1 => 10").own, pairs(&[("1", "10")]));
        assert_eq!(
            read("either. Shows 1 => 12, 2 => 22").own,
            pairs(&[("1", "12"), ("2", "22")])
        );
        assert_eq!(read("either. Shows 1 => 12").transaction, None);
        assert_eq!(read("T1. Still returns nothing").own, Some(Shown::Nothing));
        assert_eq!(
            read("T1. Shows nothing yet, as it waits").own,
            Some(Shown::Nothing)
        );
        assert_eq!(read("T1: shows nothing special").own, None);
        assert_eq!(read("T1. Doesn't delete anything").own, Some(Shown::Nothing));
        let found =
            read("T1. T2 now prints out \"ERROR: could not serialize access due to concurrent update\"");
        assert_eq!(
            (found.own, found.other),
            (None, Some((2, Shown::Error(Some(9007)))))
        );
        let found = read("T1. Unblocks T2, which now shows 1 => 10, 2 => 20");
        assert_eq!(found.unblocks, [2]);
        assert_eq!(
            found.other.map(|(number, shown)| (number, Some(shown))),
            Some((2, pairs(&[("1", "10"), ("2", "20")])))
        );
        let found = read("T2, prints \"ERROR 1213 (40001): Deadlock found when trying to get lock\"");
        assert_eq!(found.own, Some(Shown::Error(Some(1213))));
        let found = read("T3, BLOCKS (eventually shows 1 => 10, 2 => 20)");
        assert!(found.blocks && found.own.is_some());
        let found = read("T1, BLOCKS, causes T2 to abort with deadlock error, unblocks T3");
        assert!(found.blocks);
        assert_eq!(
            (found.unblocks, found.other),
            (vec![3], Some((2, Shown::Error(Some(1213)))))
        );
        let found = read("T1. Returns the newly inserted row in full");
        assert_eq!(
            (found.own, found.text.as_str()),
            (None, "Returns the newly inserted row in full")
        );
        assert_eq!(read("T1. This unblocks T2").text, "");
    }
}
