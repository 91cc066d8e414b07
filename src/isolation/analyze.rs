//! Finds all anomalies of a history.

use super::analysis::Analysis;
use super::anomaly::{Anomaly, Form, Shape};
use super::builder::Unusable;
use super::cycles::{Search, Sought, Wanted};
use super::data;
use super::dependencies::build;
use super::explain::Explain;
use super::finding::Finding;
use super::graph::{EdgeKind, Graph};
use super::history::{History, Status};
use super::inferred::{inferred_graph, through_inferred};
use super::reads::Scan;
use super::scc::{Components, Times, View, components};
use super::timestamps;
use super::versions::Versions;
use super::visibility::{Inferred, Observations, Visibility};

/// The timestamp check alone.
pub(super) fn only_timestamps(history: &History) -> Result<Analysis, Unusable> {
    let versions = Versions::new(history)?;
    let explain = Explain {
        history,
        versions: &versions,
    };
    let checked = timestamps::check(history, &versions);
    let mut found = Found::default();
    found.findings.extend(
        checked
            .flaws
            .first()
            .map(|flaw| explain.timestamp(flaw, checked.count)),
    );
    notes(history, &versions, &checked, &mut found);
    Ok(found.analysis(history, &versions, &checked, 0))
}

/// Finds all kinds of anomalies of a history, each with one of its shortest examples.
///
/// # Errors
/// A history that can't be judged: a value that was written twice, two transactions of one process at once.
pub fn analyze(history: &History) -> Result<Analysis, Unusable> {
    let versions = Versions::new(history)?;
    let mut scan = Scan::new(history, &versions);
    let graph = build(history, &versions, &mut scan)?;
    data::after_reads(history, &versions, &mut scan);
    let times = Times::new(history, &versions);
    let explain = Explain {
        history,
        versions: &versions,
    };
    let mut found = Found::default();
    for (_, count, flaws) in &scan.flaws.kinds {
        found.findings.push(explain.flaw(&flaws[0], *count));
    }
    drop(scan);
    let checked = timestamps::check(history, &versions);
    if let Some(flaw) = checked.flaws.first() {
        found.findings.push(explain.timestamp(flaw, checked.count));
    }
    let mut cycles = Cycles {
        graph: &graph,
        times: &times,
        explain: &explain,
        predicates: graph.has(EdgeKind::PredicateRw),
        found: &mut found,
    };
    let snapshots = cycles.all();
    visible(
        history,
        &versions,
        &graph,
        &times,
        &explain,
        snapshots.as_ref(),
        &mut found,
    );
    notes(history, &versions, &checked, &mut found);
    Ok(found.analysis(history, &versions, &checked, graph.edge_count()))
}

#[derive(Debug, Default)]
struct Found {
    findings: Vec<Finding>,
    undecided: Vec<String>,
}

impl Found {
    fn has(&self, anomaly: Anomaly) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.anomaly == anomaly || finding.also.contains(&anomaly))
    }
}

impl Found {
    fn analysis(
        mut self,
        history: &History,
        versions: &Versions,
        checked: &timestamps::Checked,
        edges: usize,
    ) -> Analysis {
        let committed = versions.committed.iter().filter(|committed| **committed).count();
        let gravity = |finding: &Finding| {
            let weakest = finding.weakest.iter().min().map_or(u8::MAX, |model| *model as u8);
            (weakest, finding.anomaly)
        };
        self.findings.sort_by_key(gravity);
        Analysis {
            findings: self.findings,
            undecided: self.undecided,
            committed,
            proven: committed - history.count(Status::Ok),
            timestamped_reads: checked.reads,
            edges,
        }
    }
}

fn notes(history: &History, versions: &Versions, checked: &timestamps::Checked, found: &mut Found) {
    let mut note = |count: usize, text: &str| {
        if count > 0 {
            found.undecided.push(format!("{count} {text}"));
        }
    };
    note(
        versions.partial,
        "registers have no known order of all versions (a write has no commit_ts): snapshot isolation and stronger \
         models are judged by the part that reads tell",
    );
    note(
        versions.untraced,
        "reads could not be traced to their write (a value, or the absence of a row, that was written more than once)",
    );
    if history.has_timestamps() {
        note(
            checked.skipped,
            "reads have no timestamp and were not held to any",
        );
    }
    if !history.timed {
        found
            .undecided
            .push("transactions have no times: nothing is known of real time".to_owned());
    }
}

/// The cycles of the graph of dependencies.
struct Cycles<'a> {
    graph: &'a Graph,
    times: &'a Times<'a>,
    explain: &'a Explain<'a>,
    predicates: bool,
    found: &'a mut Found,
}

impl Cycles<'_> {
    fn components(&self, wanted: Wanted) -> Components {
        components(self.graph, self.times, wanted.view())
    }

    /// Looks for all of them, from the strongest model down: where a stronger one has no cycle, a weaker one has none.
    ///
    /// The components that snapshot isolation (with the order of processes) forbids, unless there are none.
    fn all(&mut self) -> Option<Components> {
        let predicates: &[bool] = if self.predicates { &[false, true] } else { &[false] };
        let mut snapshots = None;
        for predicate in predicates.iter().rev() {
            let wanted = |shape, form| Wanted {
                shape,
                predicate: *predicate,
                form,
            };
            let all = self.components(wanted(Shape::G2, Form::Process));
            if all.is_clean() {
                continue;
            }
            let serial = self.components(wanted(Shape::G2, Form::Plain));
            let snapshot_session = self.components(wanted(Shape::GSingle, Form::Process));
            if snapshot_session.is_clean() {
                self.shape(&[Shape::G2], *predicate, &serial, &all, &Late::default());
                continue;
            }
            let snapshot = self.components(wanted(Shape::GSingle, Form::Plain));
            let circular = self.components(wanted(Shape::G1c, Form::Plain));
            if !*predicate {
                self.data_cycles(&circular);
            }
            let weaker = Late::of(&circular);
            self.shape(
                &[Shape::GSingle, Shape::GNonadjacent],
                *predicate,
                &snapshot,
                &snapshot_session,
                &weaker,
            );
            self.shape(&[Shape::G2], *predicate, &serial, &all, &Late::of(&snapshot));
            if snapshots.is_none() {
                snapshots = Some(snapshot_session);
            }
        }
        snapshots
    }

    /// G0 and G1c.
    fn data_cycles(&mut self, circular: &Components) {
        let wanted = |shape, form| Wanted {
            shape,
            predicate: false,
            form,
        };
        let circular_session = self.components(wanted(Shape::G1c, Form::Process));
        if circular_session.is_clean() {
            return;
        }
        let writes = self.components(wanted(Shape::G0, Form::Plain));
        let writes_session = self.components(wanted(Shape::G0, Form::Process));
        self.shape(&[Shape::G0], false, &writes, &writes_session, &Late::default());
        self.shape(
            &[Shape::G1c],
            false,
            circular,
            &circular_session,
            &Late::of(&writes),
        );
    }

    /// Cycles of these shapes: of data first; where there is none, with the order of processes; then with real time
    /// and timestamps. `weaker` is what a weaker shape explains already.
    fn shape(
        &mut self,
        shapes: &[Shape],
        predicate: bool,
        plain: &Components,
        session: &Components,
        weaker: &Late,
    ) {
        let mut found = false;
        for (form, components) in [(Form::Plain, plain), (Form::Process, session)] {
            if found || components.count == 0 {
                continue;
            }
            for shape in shapes {
                found |= self.search(
                    Wanted {
                        shape: *shape,
                        predicate,
                        form,
                    },
                    components,
                    &[],
                );
            }
        }
        if found {
            return;
        }
        for (form, late, known) in [
            (Form::Realtime, &plain.late, &weaker.realtime),
            (Form::Start, &plain.late_by_timestamp, &weaker.start),
        ] {
            // Where all are late for a graver reason, this is not looked for.
            if late.iter().all(|at| known.binary_search(at).is_ok()) {
                continue;
            }
            for shape in shapes {
                if self.search(
                    Wanted {
                        shape: *shape,
                        predicate,
                        form,
                    },
                    plain,
                    late,
                ) {
                    break;
                }
            }
        }
    }

    fn search(&mut self, wanted: Wanted, components: &Components, late: &[u32]) -> bool {
        let anomaly = Anomaly::Cycle(wanted.shape, wanted.predicate, wanted.form);
        match Search::new(self.graph, self.times, components, wanted).shortest(late) {
            Sought::Found(cycle) => {
                let finding = self.explain.cycle(&cycle);
                let found = finding.anomaly == anomaly;
                if !self.found.has(finding.anomaly) {
                    self.found.findings.push(finding);
                }
                found
            }
            Sought::Absent => false,
            Sought::Undecided => {
                self.found
                    .undecided
                    .push(format!("whether there is a {anomaly}: the search was too large"));
                false
            }
        }
    }
}

/// Transactions that are too late for what they lead to.
#[derive(Debug, Default)]
struct Late {
    realtime: Vec<u32>,
    start: Vec<u32>,
}

impl Late {
    fn of(components: &Components) -> Self {
        Self {
            realtime: components.late.clone(),
            start: components.late_by_timestamp.clone(),
        }
    }
}

/// Monotonic atomic view, read atomic, and causal. Where all orders of versions are known, each of their anomalies is a
/// cycle that strong session snapshot isolation forbids, so that only its components are looked at.
fn visible(
    history: &History,
    versions: &Versions,
    graph: &Graph,
    times: &Times<'_>,
    explain: &Explain<'_>,
    snapshots: Option<&Components>,
    found: &mut Found,
) {
    let in_component = |at: u32| {
        snapshots.is_some_and(|found| {
            found
                .component
                .chunks_exact(2)
                .nth(at as usize)
                .is_some_and(|pair| *pair != [0, 0])
        })
    };
    let partial = versions.partial > 0;
    if !partial && snapshots.is_none_or(|found| found.count == 0) {
        return;
    }
    let inside: &dyn Fn(u32) -> bool = if partial { &|_| true } else { &in_component };
    let observations = Observations::new(history, versions, inside);
    let mut visibility = Visibility::new(history, versions, &observations);
    visibility.atomic();
    visibility.causally(graph, inside);
    for (_, count, flaws) in &visibility.flaws.kinds {
        found.findings.push(explain.flaw(&flaws[0], *count));
    }
    if !partial {
        return;
    }
    let Visibility {
        monotonic,
        atomic,
        causal,
        ..
    } = &visibility;
    let levels: [(Anomaly, &[&Inferred], bool); 3] = [
        (Anomaly::ObservedTransactionVanishes, &[monotonic], false),
        (Anomaly::FracturedRead, &[monotonic, atomic], false),
        (Anomaly::CausalityViolation, &[monotonic, atomic, causal], true),
    ];
    for (anomaly, inferred, session) in levels {
        if found.has(anomaly) || inferred.iter().all(|inferred| inferred.edges.is_empty()) {
            continue;
        }
        let graph = inferred_graph(graph, inferred, session);
        let kinds = EdgeKind::Ww.bit() | EdgeKind::Wr.bit() | EdgeKind::Rw.bit();
        let components = components(
            &graph,
            times,
            View {
                kinds,
                layered: false,
                session: true,
            },
        );
        if let Some(steps) = through_inferred(&graph, &components) {
            found.findings.push(explain.inferred_cycle(anomaly, &steps));
        }
    }
}
