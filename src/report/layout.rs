//! Puts what happened into lines of a terminal: columns side by side, or one list.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// At most this many columns stand side by side.
const COLUMNS_MAX: usize = 4;
/// A column that must be cut to less than this says too little; then there is one list.
const COLUMN_MIN: usize = 36;
/// At most this many lines; the middle of a longer story is left out.
const LINES_MAX: usize = 150;
/// The time at the left: `12345.6 ms`.
const TIME: usize = 10;
/// Between columns: ` │ `.
const GAP: usize = 3;
/// Room for a time behind a text, such as ` (waited 1234.5 ms)`, whatever it is: what is cut does not depend on how long
/// something took.
const TOOK: usize = 19;

/// A line of one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// What is cut where there is no room.
    pub text: String,
    /// How long it took, which is not cut.
    took: Option<String>,
    /// What is said behind that.
    then: String,
}

/// What happened at one time on one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// When; `u64::MAX` is the end of the trial.
    pub at_us: u64,
    /// The number of the connection.
    pub connection: usize,
    /// What is said of it.
    pub lines: Vec<Line>,
}

impl Entry {
    pub fn new(at_us: u64, connection: usize, line: Line) -> Self {
        Self {
            at_us,
            connection,
            lines: vec![line],
        }
    }
}

impl Line {
    pub fn plain(text: String) -> Self {
        Self {
            text,
            took: None,
            then: String::new(),
        }
    }

    /// With a time behind it; an empty one only takes its room.
    pub fn with_time(self, took: String) -> Self {
        Self {
            took: Some(took),
            ..self
        }
    }

    pub fn then(self, then: String) -> Self {
        Self { then, ..self }
    }

    /// The room behind the text.
    fn behind(&self) -> usize {
        let took = self.took.as_ref().map_or(0, |took| took.width().max(TOOK));
        took + self.then.width()
    }

    /// How wide it is by itself.
    fn width(&self) -> usize {
        self.text.width() + self.behind()
    }

    /// The line in this width.
    fn cut(&self, width: usize) -> String {
        let room = width.saturating_sub(self.behind()).max(width.min(COLUMN_MIN / 2));
        let took = self.took.as_deref().unwrap_or_default();
        cut(&format!("{}{took}{}", cut(&self.text, room), self.then), width)
    }
}

/// All entries in lines of at most this width; the connections have their numbers and names.
pub(super) fn layout(names: &[(usize, &str)], entries: &[Entry], width: usize) -> Vec<String> {
    match widths(names, entries, width) {
        Some(widths) => columns(names, entries, &widths),
        None => list(names, entries, width),
    }
}

/// How wide each column is, where they fit side by side.
fn widths(names: &[(usize, &str)], entries: &[Entry], width: usize) -> Option<Vec<usize>> {
    if names.is_empty() || names.len() > COLUMNS_MAX {
        return None;
    }
    let mut widths: Vec<usize> = names
        .iter()
        .map(|(number, name)| {
            let own = entries.iter().filter(|entry| entry.connection == *number);
            let lines = own.flat_map(|entry| &entry.lines).map(Line::width);
            lines.chain([name.width()]).max().unwrap_or(0)
        })
        .collect();
    let mut room = width.saturating_sub(TIME + GAP * widths.len());
    // What needs less than its share leaves the rest to the others.
    let mut by_width: Vec<usize> = (0..widths.len()).collect();
    by_width.sort_by_key(|number| widths[*number]);
    for (at, number) in by_width.iter().enumerate() {
        let share = room / (by_width.len() - at);
        if widths[*number] > share && share < COLUMN_MIN && names.len() > 1 {
            return None;
        }
        widths[*number] = widths[*number].min(share);
        room -= widths[*number];
    }
    Some(widths)
}

fn time(at_us: u64) -> String {
    if at_us == u64::MAX {
        format!("{:>TIME$}", "end")
    } else {
        format!("{:>7.1} ms", at_us as f64 / 1_000.0)
    }
}

/// The text in at most this many columns of a terminal.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut room = width.saturating_sub(1);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        kept.push(c);
    }
    kept + "…"
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Leaves out the middle of a long story.
fn shortened(lines: Vec<String>) -> Vec<String> {
    let left_out = lines.len().saturating_sub(LINES_MAX);
    if left_out == 0 {
        return lines;
    }
    // What went wrong is most often near the end; how it began says how it was meant.
    let begin = LINES_MAX / 3;
    let mut lines = lines;
    let note = format!("{:>TIME$} │ … {left_out} lines are left out", "");
    lines.splice(begin..begin + left_out, [note]);
    lines
}

fn columns(names: &[(usize, &str)], entries: &[Entry], widths: &[usize]) -> Vec<String> {
    let row = |time: &str, cell: &dyn Fn(usize, usize) -> String| {
        let cells = names
            .iter()
            .zip(widths)
            .map(|((number, _), width)| padded(&cell(*number, *width), *width));
        format!("{time} │ {}", cells.collect::<Vec<_>>().join(" │ "))
            .trim_end()
            .trim_end_matches('│')
            .trim_end()
            .to_owned()
    };
    let name = |number: usize, width: usize| {
        let name = names.iter().find(|(other, _)| *other == number);
        cut(name.map_or("?", |(_, name)| name), width)
    };
    let mut text = vec![row(&" ".repeat(TIME), &name)];
    let mut lines = Vec::new();
    for entry in entries {
        for line in &entry.lines {
            lines.push(row(&time(entry.at_us), &|number, width| {
                if number == entry.connection {
                    line.cut(width)
                } else {
                    String::new()
                }
            }));
        }
    }
    text.extend(shortened(lines));
    text
}

fn list(names: &[(usize, &str)], entries: &[Entry], width: usize) -> Vec<String> {
    let name_of = |number: usize| {
        let name = names.iter().find(|(other, _)| *other == number);
        name.map_or("?", |(_, name)| *name)
    };
    let name_width = names.iter().map(|(_, name)| name.width()).max().unwrap_or(0);
    let room = width
        .saturating_sub(TIME + GAP + name_width + GAP)
        .max(COLUMN_MIN);
    let mut lines = Vec::new();
    for entry in entries {
        let head = format!(
            "{} │ {} │ ",
            time(entry.at_us),
            padded(name_of(entry.connection), name_width)
        );
        let mut rest = entry.lines.iter().peekable();
        while let Some(line) = rest.next() {
            let mut text = line.cut(room);
            // An outcome stands behind its statement, where there is room.
            if let Some(next) = rest.peek()
                && line.width() + next.width() <= room
                && next.text.starts_with("  →")
            {
                text.push_str(&next.cut(room)[1..]);
                rest.next();
            }
            lines.push(format!("{head}{text}").trim_end().to_owned());
        }
    }
    shortened(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let line = |text: &str| Line::plain(text.to_owned());
        let long = "1: update account set balance = balance - 10 where id = 1 and balance > 100000";
        vec![
            Entry {
                at_us: 1_000,
                connection: 0,
                lines: vec![
                    line(long),
                    line("  → 1 row affected").with_time(" (0.4 ms)".to_owned()),
                ],
            },
            Entry::new(
                2_000,
                1,
                line("2: select '表表表表表表表表表表表表表表表表表表表表表表表表表表表表'"),
            ),
            Entry::new(u64::MAX, 1, line("  … line 2 had not returned")),
        ]
    }

    #[test]
    fn no_line_is_wider_than_there_is_room_and_more_room_shows_more() {
        let names = [(0, "alice"), (1, "bob")];
        let mut before = 0;
        for width in [60, 80, 100, 101, 120, 160, 400] {
            let lines = layout(&names, &entries(), width);
            for line in &lines {
                assert!(line.width() <= width, "{width}: {line}");
            }
            let shown: usize = lines.iter().map(|line| line.trim().chars().count()).sum();
            assert!(
                lines.len() > 3 && shown >= before || width <= 100,
                "{width}: {lines:#?}"
            );
            before = shown;
        }
        let wide = layout(&names, &entries(), 400).join("\n");
        assert!(
            wide.contains("balance > 100000") && !wide.contains('…'.to_string().repeat(2).as_str()),
            "{wide}"
        );
    }

    #[test]
    fn columns_that_would_be_too_narrow_are_a_list() {
        let names = [(0, "alice"), (1, "bob"), (2, "carol")];
        let list = layout(&names, &entries(), 80);
        assert!(list[0].contains("│ alice │ 1: update"), "{list:#?}");
        let columns = layout(&names, &entries(), 240);
        assert!(
            columns[0].contains("│ alice") && columns[0].contains("│ carol"),
            "{columns:#?}"
        );
    }

    #[test]
    fn what_is_cut_does_not_depend_on_how_long_it_took() {
        let cut = |took: &str| {
            let line = Line::plain("  → id=1 name='a name that is long'".to_owned());
            line.with_time(took.to_owned()).cut(36).replace(took, "")
        };
        assert_eq!(cut(" (0.4 ms)"), cut(" (123.4 ms)"));
        assert!(cut(" (0.4 ms)").contains('…'));
    }

    #[test]
    fn a_long_story_keeps_its_beginning_and_its_end() {
        let entry = |number: u64| Entry::new(number, 0, Line::plain(format!("{number}: select {number}")));
        let entries: Vec<Entry> = (0..1_000).map(entry).collect();
        let lines = layout(&[(0, "alice")], &entries, 100);
        assert_eq!(lines.len(), 1 + LINES_MAX + 1);
        let text = lines.join("\n");
        assert!(
            text.contains("0: select 0\n") && text.ends_with("999: select 999"),
            "{text}"
        );
        assert!(text.contains("… 850 lines are left out"), "{text}");
    }
}
