//! The title of a scenario, of the comment that another tool's file begins with.

/// A title is at most so long.
const TITLE_MAX: usize = 100;

/// The title, and what is left of the comment. A comment whose first sentence is too long stays whole, and the
/// file's name is the title.
pub(super) fn title_of(comment: &[String], name: &str) -> (String, Vec<String>) {
    let blank = |line: &&String| line.trim().is_empty();
    let begin = comment.iter().take_while(blank).count();
    let end = comment.iter().rev().take_while(blank).count();
    let comment = comment.get(begin..comment.len() - end).unwrap_or_default();
    let from_name = || name.replace(['_', '-'], " ").trim().to_owned();
    let first_paragraph = comment.iter().take_while(|line| !line.trim().is_empty());
    let paragraph: Vec<&str> = first_paragraph.map(|line| line.trim()).collect();
    let lines = paragraph.len();
    let text = paragraph.join(" ");
    // One sentence that is the whole paragraph.
    let sentence = text.trim_end_matches(['.', ':', '=', '-', '*', '#', ' ']);
    let sentence = sentence.trim_start_matches(['#', '=', '-', '*', ' ']);
    let whole = !sentence.contains(". ") && sentence.chars().count() <= TITLE_MAX && !sentence.is_empty();
    if !whole {
        let title = from_name();
        let title = if title.is_empty() {
            "imported".to_owned()
        } else {
            title
        };
        return (title, comment.to_vec());
    }
    let rest = comment
        .iter()
        .skip(lines)
        .skip_while(|line| line.trim().is_empty());
    (sentence.to_owned(), rest.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_sentence_is_the_title() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let (title, rest) = title_of(
            &lines("Write skew test.\n\nTwo transactions.\nMore."),
            "simple-write-skew",
        );
        assert_eq!(title, "Write skew test");
        assert_eq!(rest, ["Two transactions.", "More."]);
        let (title, rest) = title_of(&lines("One. And two."), "simple-write-skew");
        assert_eq!((title.as_str(), rest.len()), ("simple write skew", 1));
        assert_eq!(title_of(&[], "a_b").0, "a b");
        assert_eq!(
            title_of(&lines("\nOne.\n\n"), "a"),
            ("One".to_owned(), Vec::new())
        );
        assert_eq!(title_of(&lines("\n\n"), "a").0, "a");
    }
}
