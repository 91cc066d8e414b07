//! What became of the tries of one trial.

use std::fmt::Write as _;

/// At most so many failing tries are listed.
const LISTED_MAX: usize = 20;

/// What became of the tries of one trial.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// How many have ended.
    pub tries: u64,
    /// Those that failed: the number of each, from 1, with its seed where it has one.
    pub failed: Vec<(u64, Option<u64>)>,
}

impl Tally {
    pub fn note(&mut self, failed: bool, seed: Option<u64>) {
        self.tries += 1;
        if failed {
            self.failed.push((self.tries, seed));
        }
    }

    /// `7 of 100 tries failed, first at try 13`, and which ones with their seeds.
    pub fn text(&self) -> String {
        let tries = match self.tries {
            1 => "1 try".to_owned(),
            more => format!("{more} tries"),
        };
        let mut text = format!("{} of {tries} failed", self.failed.len());
        let Some((first, _)) = self.failed.first() else {
            return text;
        };
        let _ = write!(text, ", first at try {first}");
        let seeds = self.failed.iter().any(|(_, seed)| seed.is_some());
        if self.failed.len() > 1 || seeds {
            let one = |(number, seed): &(u64, Option<u64>)| match seed {
                Some(seed) => format!("{number} (--seed {seed})"),
                None => number.to_string(),
            };
            let listed: Vec<String> = self.failed.iter().take(LISTED_MAX).map(one).collect();
            let _ = write!(text, "; failed: {}", listed.join(", "));
            if let more @ 1.. = self.failed.len().saturating_sub(LISTED_MAX) {
                let _ = write!(text, " and {more} more");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_names_the_failing_tries_and_their_seeds() {
        let mut tally = Tally::default();
        assert_eq!(tally.text(), "0 of 0 tries failed");
        tally.note(false, Some(4));
        assert_eq!(tally.text(), "0 of 1 try failed");
        tally.note(true, Some(5));
        assert_eq!(
            tally.text(),
            "1 of 2 tries failed, first at try 2; failed: 2 (--seed 5)"
        );
        let mut tally = Tally::default();
        tally.note(true, None);
        assert_eq!(tally.text(), "1 of 1 try failed, first at try 1");
        for _ in 0..30 {
            tally.note(true, None);
        }
        assert!(tally.text().ends_with("19, 20 and 11 more"), "{}", tally.text());
    }
}
