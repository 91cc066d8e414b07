//! A report as text.

use std::fmt::Write as _;

use super::check::Report;
use super::finding::{Finding, ShownTransaction, time};
use super::history::{History, Status};
use super::models::Model;

/// A report for people: the verdict, what refutes the level, then what else was found.
#[must_use]
pub fn render_text(history: &History, report: &Report) -> String {
    let mut text = String::new();
    let verdict = if report.holds() { "holds" } else { "does not hold" };
    let _ = writeln!(text, "{} {verdict}", report.level);
    let counts = [
        (Status::Ok, "ok"),
        (Status::Failed, "failed"),
        (Status::Unknown, "with an unknown outcome"),
    ];
    let parts: Vec<String> = counts
        .into_iter()
        .map(|(status, words)| (history.count(status), words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    let _ = writeln!(
        text,
        "{} transactions ({}), {} operations; {}",
        history.transactions(),
        parts.join(", "),
        history.operations(),
        strongest(&report.strongest)
    );
    for finding in &report.refutes {
        text.push('\n');
        text.push_str(&render_finding(finding));
    }
    if !report.allowed.is_empty() {
        let _ = writeln!(text, "\nfound as well, and allowed by {}:", report.level);
        for finding in &report.allowed {
            text.push('\n');
            text.push_str(&render_finding(finding));
        }
    }
    if !report.undecided.is_empty() {
        text.push('\n');
    }
    for sentence in &report.undecided {
        let _ = writeln!(text, "not decided: {sentence}");
    }
    let header = history.header();
    if let Some(seed) = header.seed.filter(|_| !report.holds()) {
        let _ = writeln!(text, "seed: {seed}");
    }
    if let Some(repeat) = header.repeat.as_ref().filter(|_| !report.holds()) {
        let _ = writeln!(text, "run it again: {repeat}");
    }
    text
}

fn strongest(models: &[Model]) -> String {
    if models.is_empty() {
        "it holds none of the models".to_owned()
    } else {
        format!("nothing refutes {}", names(models))
    }
}

fn names(models: &[Model]) -> String {
    let names: Vec<String> = models.iter().map(Model::to_string).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}

/// One finding as text.
#[must_use]
pub fn render_finding(finding: &Finding) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", headline(finding));
    if !finding.stronger.is_empty() {
        let _ = writeln!(text, "  and with it {}", names(&finding.stronger));
    }
    if !finding.story.is_empty() {
        let _ = writeln!(text, "  {}", finding.story);
    }
    if finding.count > 1 {
        let _ = writeln!(text, "  one of {}", finding.count);
    }
    match finding.shortest {
        Some(true) => {
            let _ = writeln!(text, "  a cycle; there is no shorter one of its kind");
        }
        Some(false) => {
            let _ = writeln!(text, "  a cycle; there may be a shorter one of its kind");
        }
        None => {}
    }
    for transaction in &finding.transactions {
        let _ = writeln!(text, "    {}", about(transaction));
        for operation in &transaction.operations {
            let _ = writeln!(text, "      {operation}");
        }
    }
    let arrow = |edge: &super::finding::ShownEdge| {
        let name = |at: usize| finding.transactions[at].name.as_str();
        format!("{} ─{}→ {}", name(edge.from), edge.kind, name(edge.to))
    };
    let width = finding
        .edges
        .iter()
        .map(|edge| arrow(edge).chars().count())
        .max()
        .unwrap_or(0);
    for edge in &finding.edges {
        let arrow = arrow(edge);
        let pad = " ".repeat(width - arrow.chars().count());
        let _ = writeln!(text, "    {arrow}{pad}  {}", edge.why);
    }
    text
}

/// The name of an anomaly, what it is, and what it refutes.
pub(super) fn headline(finding: &Finding) -> String {
    let mut text = finding.anomaly.to_string();
    for also in &finding.also {
        let _ = write!(text, ", {also}");
    }
    let words = finding.also.first().unwrap_or(&finding.anomaly).words();
    if words.is_empty() {
        return text;
    }
    let _ = write!(text, " ({words})");
    if !finding.weakest.is_empty() {
        let _ = write!(text, " refutes {}", names(&finding.weakest));
    }
    text
}

/// A transaction's process, outcome, times, timestamps and place.
pub(super) fn about(transaction: &ShownTransaction) -> String {
    let mut parts = vec![format!("process {}", transaction.process)];
    match transaction.status {
        Status::Ok => {}
        Status::Failed => parts.push("failed".to_owned()),
        Status::Unknown => parts.push("outcome unknown".to_owned()),
    }
    if let Some(invoke) = transaction.invoke {
        let returned = transaction.returned.map_or_else(|| "…".to_owned(), time);
        parts.push(format!("{} to {returned}", time(invoke)));
    }
    for (name, ts) in [
        ("start_ts", transaction.start_ts),
        ("for_update_ts", transaction.for_update_ts),
        ("commit_ts", transaction.commit_ts),
    ] {
        parts.extend(ts.map(|ts| format!("{name} {ts}")));
    }
    parts.extend(transaction.place.clone());
    format!("{}: {}", transaction.name, parts.join(", "))
}
