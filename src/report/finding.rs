//! One finding at its place in the file.

use crate::plan::TrialPlan;
use crate::source::{Diagnostic, RenderStyle, render};
use crate::verdict::Finding;

/// The finding with the lines of the file that it is about.
pub fn rendered(plan: &TrialPlan, finding: &Finding, style: RenderStyle) -> String {
    let mut problem = Diagnostic::error(finding.span, finding.message.clone());
    problem = problem.label(finding.span, finding.label.clone());
    for (span, label) in &finding.also {
        if *span != finding.span {
            problem = problem.label(*span, label.clone());
        }
    }
    let mut text = render(&plan.file, &problem, style);
    if let Some(detail) = finding.detail.as_ref().filter(|detail| !detail.is_empty()) {
        text.push('\n');
        text.push_str(detail);
    }
    text
}
