//! Judges and runs mutants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Completion, Failed};
use tidb_scenarios::engine::table;
use tidb_scenarios::engine::timeline;
use tidb_scenarios::engine::{Finding, Verdict};
use tidb_scenarios::engine::{PlanInput, TrialPlan, plan};
use tidb_scenarios::harness::{Ended, Runner, Trouble};

use crate::mutants::{Area, Mutant, Reach};
use crate::past::{Past, runs_alike};
use crate::subject::Subject;
use crate::tally::{Fate, Tally};
use crate::{Extent, rank};

/// Where all are tried, one of so many that a history judges is run as well.
const JUDGED_FOR_EACH_RUN: u8 = 16;

/// What all trials work with.
pub struct Work {
    pub runner: Runner,
    pub env: BTreeMap<String, String>,
    pub tally: Tally,
}

/// A plan that was run.
struct Run {
    past: Past,
    /// What did not hold, if something did not.
    finding: Option<String>,
    /// For people.
    told: String,
}

impl Work {
    /// Runs a plan; `None` where it cannot run here.
    async fn run(&self, plan: &Arc<TrialPlan>) -> Result<Option<Run>, String> {
        let first = |findings: &[Finding]| findings.first().map(|finding| finding.message.clone());
        if plan.orders().is_some() {
            // A shorter story of what fails is nothing that is asked for here.
            let explored = match self.runner.explore(plan).await {
                Ok(Ok(explored)) => explored,
                Ok(Err(_)) => return Ok(None),
                Err(trouble) => return Err(trouble_text(&plan.name, &trouble)),
            };
            let failing = explored.failing.first();
            let finding = first(&explored.findings);
            let finding = finding.or_else(|| failing.and_then(|failing| first(&failing.findings)));
            assert_eq!(finding.is_none(), explored.passed(), "{}", plan.name);
            return Ok(Some(Run {
                told: table(plan, &explored),
                finding,
                past: Past::Orders(explored.histories),
            }));
        }
        match self.runner.run(plan).await {
            Ok(Ended::Ignored(_)) => Ok(None),
            Ok(Ended::Judged(judged)) => Ok(Some(Run {
                told: timeline(plan, &judged.history),
                finding: match &judged.verdict {
                    Verdict::Passed => None,
                    Verdict::Failed(findings) => first(findings),
                },
                past: Past::One(Box::new(judged.history)),
            })),
            Err(trouble) => Err(trouble_text(&plan.name, &trouble)),
        }
    }

    /// What came of a variant of the unchanged file, which must pass; `None` where it cannot run here.
    async fn unchanged(&self, subject: &Subject, variant: usize) -> Result<Option<Arc<Past>>, String> {
        let run = async || {
            // A plan is not cloned; the file is planned anew.
            let input = PlanInput {
                name: subject.name.clone(),
                env: self.env.clone(),
                ..PlanInput::default()
            };
            let trials = plan(Arc::clone(&subject.planned.file), &input).trials;
            let own = trials.into_iter().nth(variant).expect("the variant");
            let own = Arc::new(own);
            let Some(run) = self.run(&own).await? else {
                return Ok(None);
            };
            match run.finding {
                None => Ok(Some(Arc::new(run.past))),
                Some(first) => Err(format!("{} must pass as it is: {first}", own.name)),
            }
        };
        subject.unchanged[variant].get_or_init(run).await.clone()
    }

    /// All mutants of a file that can be judged by what came of the unchanged trials.
    pub async fn judge_all(&self, subject: &Subject) -> Result<Completion, Failed> {
        if subject.planned.is_broken() {
            return Err(format!("{} is refused as it is", subject.planned.file.name()).into());
        }
        let mut pasts = Vec::new();
        for variant in 0..subject.planned.trials.len() {
            pasts.push(self.unchanged(subject, variant).await?);
        }
        if pasts.iter().all(Option::is_none) {
            return Ok(Completion::ignored_with("the server lacks what it requires"));
        }
        let mut survivors = Vec::new();
        for (number, mutant) in subject.mutants.iter().enumerate() {
            self.tally.made(mutant);
            let planned = subject.plan(mutant, &self.env);
            if planned.is_broken() {
                self.tally.judged(mutant, Fate::Refused);
                continue;
            }
            let mut fate = None;
            for ((original, changed), past) in subject.planned.trials.iter().zip(&planned.trials).zip(&pasts)
            {
                let Some(past) = past else { continue };
                if !mutant.concerns(&original.variant) || !judged(mutant, original, changed) {
                    continue;
                }
                let one = if past.passes(changed) {
                    self.passed(subject, mutant, original, past, past)
                } else {
                    Fate::Caught
                };
                if one == Fate::Survived {
                    survivors.push(subject.survivor(number, &original.name));
                }
                fate = fate.max(Some(one));
            }
            if let Some(fate) = fate {
                self.tally.judged(mutant, fate);
                if fate == Fate::Idle {
                    self.tally.idle(subject.told(mutant));
                }
            }
        }
        if survivors.is_empty() {
            Ok(Completion::Completed)
        } else {
            Err(survivors.join("\n").into())
        }
    }

    /// Why a change passed: by what came of it, and of the unchanged file.
    fn passed(
        &self,
        subject: &Subject,
        mutant: &Mutant,
        original: &TrialPlan,
        past: &Past,
        unchanged: &Past,
    ) -> Fate {
        let seen = match &mutant.reach {
            Some(Reach::NoOutcome(name)) => past.comes_to(name, original, unchanged),
            _ => false,
        };
        if past.is_idle(mutant, original, unchanged) {
            Fate::Idle
        } else if seen || subject.same_meaning(mutant, past) {
            Fate::Same
        } else {
            Fate::Survived
        }
    }

    /// One mutant, run: in one of the variants that it concerns, or, where all are asked for and it decides how
    /// the trial goes, in each.
    pub async fn run_one(
        &self,
        subject: &Subject,
        number: usize,
        seed: &str,
        extent: Extent,
    ) -> Result<Completion, Failed> {
        let mutant = &subject.mutants[number];
        let planned = subject.plan(mutant, &self.env);
        if planned.is_broken() {
            self.tally.run(mutant, Fate::Refused);
            return Ok(Completion::Completed);
        }
        let originals = &subject.planned.trials;
        let mut concerned: Vec<(usize, TrialPlan)> = planned
            .trials
            .into_iter()
            .enumerate()
            .filter(|(_, plan)| mutant.concerns(&plan.variant))
            .collect();
        let can_be_judged = concerned
            .iter()
            .all(|(variant, plan)| judged(mutant, &originals[*variant], plan));
        let rank = rank(seed, &subject.mutant_name(number));
        if can_be_judged && extent == Extent::All && !rank[0].is_multiple_of(JUDGED_FOR_EACH_RUN) {
            return Ok(Completion::ignored_with(
                "judged by what came of the unchanged trial",
            ));
        }
        // What is only compared is judged in every variant anyway.
        let one_only = can_be_judged || matches!(extent, Extent::Sample(_));
        if one_only {
            let pick = usize::from(rank[31]) % concerned.len();
            concerned.rotate_left(pick);
        }
        let mut fate = None;
        let mut survivors = Vec::new();
        for (variant, plan) in concerned {
            if one_only && fate > Some(Fate::Idle) {
                break;
            }
            let Some(unchanged) = self.unchanged(subject, variant).await? else {
                continue;
            };
            if unchanged.is_idle(mutant, &originals[variant], &unchanged) {
                fate = fate.max(Some(Fate::Idle));
                continue;
            }
            let plan = Arc::new(plan);
            let began = Instant::now();
            let run = self.run(&plan).await?;
            self.tally
                .took(began.elapsed(), &subject.mutant_name(number), &plan.name);
            let Some(run) = run else { continue };
            let one = match run.finding {
                Some(_) => Fate::Caught,
                None => self.passed(subject, mutant, &originals[variant], &run.past, &unchanged),
            };
            if one == Fate::Survived {
                survivors.push(format!("{}\n{}", subject.survivor(number, &plan.name), run.told));
            }
            fate = fate.max(Some(one));
        }
        match fate {
            Some(fate) => self.tally.run(mutant, fate),
            None => return Ok(Completion::ignored_with("the server lacks what it requires")),
        }
        if fate == Some(Fate::Idle) {
            self.tally.idle(subject.told(mutant));
        }
        if survivors.is_empty() {
            Ok(Completion::Completed)
        } else {
            Err(survivors.join("\n").into())
        }
    }
}

/// Whether what came of the unchanged trial tells what would come of the changed one.
fn judged(mutant: &Mutant, original: &TrialPlan, changed: &TrialPlan) -> bool {
    // In many orders nothing waits for what a step came to: an order is wrong as soon as a step succeeds that is said
    // to fail, and goes so far in the same way. To run all orders for each step would take hours.
    let errors_only_judge = mutant.area == Area::Orders && mutant.kind == "error claimed";
    !mutant.steers && runs_alike(original, changed, errors_only_judge)
}

fn trouble_text(name: &str, trouble: &Trouble) -> String {
    match trouble {
        Trouble::NotRun {
            server_log: Some(log),
            ..
        } => format!("{name}: {trouble}; the server is gone; the end of its log:\n{log}"),
        Trouble::NotRun { .. } | Trouble::NoServer(_) => format!("{name}: {trouble}"),
    }
}
