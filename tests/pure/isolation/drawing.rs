//! Drawings and texts of findings.

use tidb_scenarios::isolation::{Level, Model, check, render_finding, render_svg, render_text};

use super::notation::history;

/// Whether each element that is opened is closed, in turn; what XML asks of a drawing, more or less.
fn assert_well_formed(svg: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = svg;
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(
            !text.contains('>')
                && !text
                    .replace("&lt;", "")
                    .replace("&gt;", "")
                    .replace("&amp;", "")
                    .replace("&quot;", "")
                    .contains('&'),
            "{text}"
        );
        let end = at + rest[at..].find('>').expect("the end of a tag");
        let tag = &rest[at + 1..end];
        let name = tag
            .trim_start_matches('/')
            .split([' ', '/'])
            .next()
            .expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{tag}");
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn what_stands_in_a_history_stays_text_in_a_drawing() {
    let lines = [
        r#"{"history": 1}"#,
        r#"{"process": "<a>&\"'", "status": "ok", "place": "x.yaml:<3>", "ops": [["read", "<b onload=\"x\">", []], ["append", "]]>&", 1]]}"#,
        r#"{"process": "\u0007", "status": "ok", "ops": [["read", "]]>&", []], ["append", "<b onload=\"x\">", 1]]}"#,
    ];
    let history =
        tidb_scenarios::isolation::read_history(lines.join("\n").as_bytes(), None).expect("a history");
    let report = check(&history, Level::Model(Model::Serializable)).expect("a report");
    let svg = render_svg(&report.refutes[0]);
    assert_well_formed(&svg);
    assert!(
        svg.contains("&lt;b onload=&quot;x&quot;&gt;") && !svg.contains("<b onload"),
        "{svg}"
    );
    assert!(!svg.contains('\u{7}'));
    assert!(svg.contains("x.yaml:&lt;3&gt;"));
}

#[test]
fn each_finding_of_the_catalogue_can_be_drawn() {
    for text in [
        "a 1-2: append x 1\nb 3-4: read x []\nc 5-6: read x [1]",
        "a 1-2 failed: append x 1\nb 3-4: read x [1]",
        "a ts=1/4: append x 1\nb ts=5: read x []",
        "a: read x [1], read y []\nb: append x 1, append y 1\nc: read x [1 2], append y 3, append z 1",
    ] {
        let history = history(text);
        let report = check(&history, Level::Model(Model::StrictSerializable)).expect("a report");
        for finding in report.refutes.iter().chain(&report.allowed) {
            let svg = render_svg(finding);
            assert_well_formed(&svg);
            assert!(svg.contains(&finding.anomaly.to_string()));
            for transaction in &finding.transactions {
                assert!(svg.contains(&format!(">{}</text>", transaction.name)), "{svg}");
            }
            assert_eq!(svg.matches("class=\"edge ").count(), finding.edges.len());
            assert!(render_finding(finding).starts_with(&finding.anomaly.to_string()));
        }
    }
}

#[test]
fn a_failure_says_how_to_run_it_again() {
    let text = "{\"history\": 1, \"seed\": 42, \"repeat\": \"tidb-scenarios run x.yaml\"}\na: append x 1\nb: append y 1, read x [2]";
    let history = history(text);
    let report = check(&history, Level::Model(Model::ReadCommitted)).expect("a report");
    let shown = render_text(&history, &report);
    assert!(
        shown.ends_with("seed: 42\nrun it again: tidb-scenarios run x.yaml\n"),
        "{shown}"
    );
}

/// A transaction and a list of thousands are not shown whole.
#[test]
fn long_things_are_cut() {
    let list: Vec<String> = (1..=500).map(|value| value.to_string()).collect();
    let appends: Vec<String> = (1..=500).map(|value| format!("append x {value}")).collect();
    let text = format!("a: {}\nb: read x [{} 501]", appends.join(", "), list.join(" "));
    let history = history(&text);
    let report = check(&history, Level::Model(Model::ReadCommitted)).expect("a report");
    let shown = render_text(&history, &report);
    assert!(shown.contains("[… 494 495 496 497 498 499 500 501]"), "{shown}");
    assert!(shown.len() < 3_000, "{} bytes", shown.len());
}
