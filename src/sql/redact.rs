//! Takes passwords out of what is shown.

/// A secret this long is taken out wherever it stands; a shorter one, which may be a part of any word, only
/// where it is a word of its own.
const PART_MIN: usize = 6;

/// The text without passwords.
#[must_use]
pub fn redact(text: &str, secrets: &[String]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| without(&text, secret))
}

fn without(text: &str, secret: &str) -> String {
    let mut found = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        let in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let part = in_word(before.chars().next_back().or(found.chars().next_back()))
            || in_word(after.chars().next());
        found.push_str(before);
        found.push_str(if part && secret.len() < PART_MIN {
            secret
        } else {
            "<redacted>"
        });
        rest = after;
    }
    found + rest
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn passwords_are_taken_out_and_words_are_left_whole() {
        let shown = |text, secret: &str| redact(text, &[secret.to_owned()]);
        assert_eq!(
            shown("password: x, --exact x", "x"),
            "password: <redacted>, --exact <redacted>"
        );
        assert_eq!(shown("'x' xx xyz", "x"), "'<redacted>' xx xyz");
        assert_eq!(shown("agreeheim77b", "geheim77"), "agreeheim77b");
        assert_eq!(shown("ageheim77b", "geheim77"), "a<redacted>b");
        assert_eq!(shown("nothing", ""), "nothing");
    }
}
