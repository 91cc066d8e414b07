//! Judges what watched jobs came to.

use super::at_end::AtEnd;
use super::finding::Finding;
use crate::history::{JobRecord, SqlValue, show};
use crate::plan::{JobFields, JobPattern, JobsWanted, WhichJobs};

pub(super) fn judge(pattern: &JobPattern, end: &AtEnd<'_>, findings: &mut Vec<Finding>) {
    let kind = pattern.kind.word();
    let of_kind = end.history.jobs.iter().filter(|job| job.kind == pattern.kind);
    let mut of_kind: Vec<&JobRecord> = of_kind.collect();
    // Their numbers are the order in which they were handed in.
    of_kind.sort_by_key(|job| job.id);
    let (which, found) = match &pattern.which {
        WhichJobs::Any => ("any".to_owned(), of_kind.clone()),
        WhichJobs::All => ("all".to_owned(), of_kind.clone()),
        WhichJobs::Named(name) => match name.fill(&end.vars) {
            Ok(name) => {
                let mine = of_kind.iter().filter(|job| is_called(job, &name));
                let mine: Vec<&JobRecord> = mine.copied().collect();
                (name, mine)
            }
            Err(variable) => {
                let message = format!("expected a {kind} job, and `{variable}` has no value");
                findings.push(Finding::new(pattern.span, message));
                return;
            }
        },
    };
    let Some(first) = found.first() else {
        let seen: Vec<String> = of_kind.iter().map(|job| job.id.to_string()).collect();
        let seen = if seen.is_empty() {
            "none was seen".to_owned()
        } else {
            format!("the jobs seen are {}", seen.join(", "))
        };
        let message = format!("expected {kind} job `{which}`, but {seen}");
        findings.push(Finding::new(pattern.span, message));
        return;
    };
    let jobs = found.as_slice();
    match (&pattern.wanted, &pattern.which) {
        (JobsWanted::One(fields), WhichJobs::Any) => {
            if !found.iter().any(|job| fits(job, fields, end)) {
                compare(pattern, first, fields, end, findings);
            }
        }
        (JobsWanted::One(_), WhichJobs::Named(_)) if jobs.len() > 1 => {
            let message = format!(
                "{} {kind} jobs of `{which}` were watched, and the expectation is for one",
                jobs.len()
            );
            let mut finding = Finding::new(pattern.span, message);
            finding = finding.label("write a list with one entry for each job");
            finding.detail = Some(told(jobs));
            findings.push(finding);
        }
        (JobsWanted::One(fields), WhichJobs::All | WhichJobs::Named(_)) => {
            for job in jobs {
                compare(pattern, job, fields, end, findings);
            }
        }
        (JobsWanted::Each(each), _) if each.len() == jobs.len() => {
            for (job, fields) in jobs.iter().zip(each) {
                compare(pattern, job, fields, end, findings);
            }
        }
        (JobsWanted::Each(each), _) => {
            let message = format!(
                "expected {} {kind} jobs of `{which}`, got {}",
                each.len(),
                jobs.len()
            );
            let mut finding = Finding::new(pattern.span, message);
            finding.detail = Some(told(jobs));
            findings.push(finding);
        }
    }
}

/// Whether this is a job's number or its table.
fn is_called(job: &JobRecord, name: &str) -> bool {
    let of_table = match job.fields.get("table") {
        Some(SqlValue::Text(table)) => table.eq_ignore_ascii_case(name),
        _ => false,
    };
    job.id.to_string() == name || of_table
}

/// Jobs as the report lists them.
fn told(jobs: &[&JobRecord]) -> String {
    let line = |job: &&JobRecord| {
        let status = job.fields.get("status").map(show).unwrap_or_default();
        format!("  {} job {}: {status}", job.kind.word(), job.id)
    };
    jobs.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn fits(job: &JobRecord, fields: &JobFields, end: &AtEnd<'_>) -> bool {
    fields.iter().all(|(name, _, wanted)| {
        let value = job.fields.get(name).unwrap_or(&SqlValue::Null);
        wanted.matches(value, &end.vars)
    })
}

fn compare(
    pattern: &JobPattern,
    job: &JobRecord,
    fields: &JobFields,
    end: &AtEnd<'_>,
    findings: &mut Vec<Finding>,
) {
    let kind = pattern.kind.word();
    for (name, span, wanted) in fields {
        let value = job.fields.get(name).unwrap_or(&SqlValue::Null);
        if wanted.matches(value, &end.vars) {
            continue;
        }
        let words = wanted.shown_with(&end.vars);
        let doubt = wanted.doubt(value, &end.vars);
        let message = format!(
            "{kind} job {}: expected {name} {words}, got {}{doubt}",
            job.id,
            show(value)
        );
        let mut finding = Finding::new(*span, message);
        let phases = job
            .phases
            .iter()
            .map(|(at_us, phase)| format!("  {:.1} ms: {phase}", *at_us as f64 / 1_000.0));
        finding.detail = Some(phases.collect::<Vec<_>>().join("\n"));
        findings.push(finding);
    }
}
