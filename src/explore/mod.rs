//! Runs the steps of a plan in every order that keeps each connection's own, and says what they come to.

mod bless;
mod commute;
mod judging;
mod outcome;
mod search;
mod show;
mod shrink;
mod turns;
mod work;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::history::History;
use crate::plan::{OrderChoice, TrialPlan, number_of_orders};
use crate::run::{Chooser, Known, RunSettings, Stage, TrialError};
use crate::server::Server;
use crate::sql::Product;
use crate::verdict::{Finding, Verdict, judge};

pub use bless::{BlessError, Blessed, blessed};
pub use commute::Dependence;
use judging::Misfits;
pub use judging::{JudgedOrder, judge_order, judge_orders};
pub use outcome::Came;
pub use search::{Beginning, Given, Search, sample};
pub use show::{across, compared, order_in_words, table};
pub use shrink::Shrunk;
use work::{Shared, Work, lock};

/// So many orders are run at the same time, each in databases of its own.
pub const STAGES: usize = 4;
/// So many failing orders are looked at closely.
const FAILING_MAX: usize = 3;

/// What exploring is asked for.
#[derive(Debug, Clone)]
pub struct ExploreSettings {
    /// Of a run; each stage adds its number to the database's name.
    pub run: RunSettings,
    /// How many orders are run at the same time.
    pub stages: usize,
    /// How long a shorter order that fails as well is looked for.
    pub shrink_max: Duration,
    /// Set by somebody who wants no more orders to be begun: what was found until then is told.
    pub stop: Arc<AtomicBool>,
}

/// What orders came to.
#[derive(Debug)]
pub struct Explored {
    /// How many orders there are that keep each connection's own.
    pub orders: u128,
    /// How many were run.
    pub run: usize,
    /// How many of those were different when it was seen who had to wait.
    pub distinct: usize,
    /// How many orders those stand for that were run: the others differ only by steps that touch nothing in
    /// common.
    pub stands_for: u128,
    /// Whether orders were left out, since there are more than may be run, or since time was up.
    pub left_out: Option<LeftOut>,
    /// Different outcomes, the one that most orders came to first.
    pub outcomes: Vec<Group>,
    /// Orders that are not as the file says.
    pub failing: Vec<FailingOrder>,
    /// How many failed in all.
    pub failed: usize,
    /// What happened in each of the different orders, for whoever judges them anew.
    pub histories: Vec<History>,
    /// What holds of no single order: outcomes that were not seen.
    pub findings: Vec<Finding>,
    /// Beginnings of orders that were given up, since others had to wait than the time before.
    pub astray: usize,
    /// The server, such as `embedded TiDB v8.5.4`.
    pub server: String,
    /// Whether rows were put back between two orders, rather than databases made anew.
    pub puts_back: bool,
    /// How long all of it took.
    pub took: Duration,
}

/// Why orders were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// `most` says so.
    Most(u32),
    /// The trial's limit.
    Time(Duration),
    /// Somebody did not want to wait for them.
    Stopped,
    /// They were not asked for: a sample, or one order.
    Asked,
}

/// Orders with the same outcome.
#[derive(Debug, Clone)]
pub struct Group {
    /// What they came to.
    pub came: Came,
    /// The names that the file has for it.
    pub names: Vec<String>,
    /// How many were run.
    pub run: usize,
    /// How many orders those stand for.
    pub stands_for: u128,
    /// The one with the fewest changes of connection, by the numbers of connections.
    pub order: Vec<usize>,
    /// What happened in that one.
    pub history: History,
}

impl Explored {
    /// Whether every order, and all of them together, are as the file says.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failed == 0 && self.findings.is_empty()
    }

    /// Whether both came to the same outcomes.
    #[must_use]
    pub fn same_outcomes(&self, other: &Self) -> bool {
        let all = |of: &Self| {
            of.outcomes
                .iter()
                .map(|group| group.came.clone())
                .collect::<BTreeSet<_>>()
        };
        all(self) == all(other)
    }
}

/// An order that is not as the file says.
#[derive(Debug)]
pub struct FailingOrder {
    /// The connections by their numbers, as they really took their steps.
    pub order: Vec<usize>,
    /// What did not hold.
    pub findings: Vec<Finding>,
    /// What happened.
    pub history: History,
    /// A shorter one that fails as well, if one was found.
    pub shrunk: Option<Shrunk>,
    /// Why it is none of the outcomes, where that is what is wrong.
    misfits: Option<Misfits>,
}

/// Runs the orders that the plan asks for, and judges each.
///
/// # Errors
/// [`TrialError`] where the trial could not be run.
pub async fn explore(
    plan: &Arc<TrialPlan>,
    server: &Server,
    own: &[Server],
    settings: &ExploreSettings,
) -> Result<Explored, TrialError> {
    let began = Instant::now();
    let Some(orders) = &plan.orders else {
        return Err(TrialError {
            span: None,
            message: "the scenario has no `permutations`".to_owned(),
        });
    };
    let lengths: Vec<usize> = plan.connections.iter().map(|own| own.states.len()).collect();
    let given = match &orders.choice {
        OrderChoice::All => None,
        OrderChoice::Sample { count, seed } => {
            let mut given = sample(&lengths, *count as usize, *seed);
            given.reverse();
            Some(given)
        }
        OrderChoice::One(order) => Some(vec![order.clone()]),
    };
    let known: Arc<Known> = Arc::default();
    let mut first_stage = open_stage(plan, server, own, settings, 0).await?;
    first_stage.share(&known);
    // What may be left out follows from how TiDB's transactions see and lock.
    let prune = orders.prune && first_stage.has_only_tables() && server.product() == Product::TiDb;
    let dependence = if prune && orders.choice == OrderChoice::All {
        Dependence::of_plan(
            plan,
            &first_stage.tables(),
            first_stage.is_tied(),
            first_stage.txn_mode(),
        )
    } else {
        Dependence::everything(plan.steps.len())
    };
    let puts_back = first_stage.puts_back();
    let all = number_of_orders(&plan.connections);
    let wanted = match &given {
        None => usize::try_from(all).unwrap_or(usize::MAX),
        Some(given) => given.len(),
    };
    let seed = Some(orders.seed).filter(|_| all > u128::from(orders.most));
    let shared = Arc::new(Mutex::new(Shared::new(given, seed, dependence)));
    let deadline = began + plan.timeout;
    let work = Work {
        plan: Arc::clone(plan),
        shared: Arc::clone(&shared),
        news: Arc::default(),
        deadline,
        most: orders.most,
        without: orders.without.clone(),
        stop: Arc::clone(&settings.stop),
    };
    // A second stage costs a setup; a few orders are run sooner without.
    let mut stages = settings.stages.min(wanted.div_ceil(4)).max(1);
    // What changes a whole server, uses its user-level locks or has servers of its own, is for one at a time.
    let user_locks = |text: &str| text.to_ascii_lowercase().contains("get_lock");
    let shares = (0..plan.connections.len())
        .flat_map(|own| commute::texts(plan, own))
        .any(user_locks);
    if plan.serial || !plan.servers.is_empty() || shares {
        stages = 1;
    }
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(work.clone().run(first_stage));
    for number in 1..stages {
        match open_stage(plan, server, own, settings, number).await {
            Ok(mut stage) => {
                stage.share(&known);
                tasks.spawn(work.clone().run(stage));
            }
            Err(error) => {
                lock(&shared).trouble.get_or_insert(error);
                break;
            }
        }
    }
    let mut stages = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(stage) => stages.push(stage),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    let mut result = {
        let mut shared = lock(&shared);
        match shared.trouble.take() {
            Some(error) => Err(error),
            None => Ok(summary(plan, &mut shared, began)),
        }
    };
    if let Ok(explored) = &mut result {
        explored.server = server.title();
        explored.puts_back = puts_back;
        if let (Some(stage), OrderChoice::All | OrderChoice::Sample { .. }) =
            (stages.first_mut(), &orders.choice)
        {
            let until = Instant::now() + settings.shrink_max;
            for failing in &mut explored.failing {
                failing.shrunk = shrink::shrink(plan, stage, failing, until).await;
            }
        }
        explored.took = began.elapsed();
    }
    for stage in stages {
        stage.close().await;
    }
    result
}

async fn open_stage(
    plan: &Arc<TrialPlan>,
    server: &Server,
    own: &[Server],
    settings: &ExploreSettings,
    number: usize,
) -> Result<Stage, TrialError> {
    let mut run = settings.run.clone();
    if number > 0 {
        run.database = format!("{}_{number}", run.database);
    }
    Stage::open(Arc::clone(plan), server, own, run).await
}

/// How often the next step is another connection's.
fn switches(order: &[usize]) -> usize {
    order.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

fn summary(plan: &TrialPlan, shared: &mut Shared, began: Instant) -> Explored {
    let mut all = std::mem::take(&mut shared.all);
    // What is told does not depend on which stage was faster.
    all.sort_by(|one, other| (switches(&one.order), &one.order).cmp(&(switches(&other.order), &other.order)));
    let mut groups: Vec<Group> = Vec::new();
    for judged in &all {
        let names: Vec<String> = judged
            .names
            .iter()
            .map(|number| plan.outcomes[*number].name.clone())
            .collect();
        match groups.iter_mut().find(|group| group.came == judged.came) {
            Some(group) => {
                group.run += 1;
                group.stands_for = group.stands_for.saturating_add(judged.stands_for);
            }
            None => groups.push(Group {
                came: judged.came.clone(),
                names,
                run: 1,
                stands_for: judged.stands_for,
                order: judged.order.clone(),
                history: judged.history.clone(),
            }),
        }
    }
    // Of as many orders each, by what they came to: what was pruned does not matter then.
    groups.sort_by(|one, other| (other.stands_for, &one.came).cmp(&(one.stands_for, &other.came)));
    let seen = |number: usize| all.iter().any(|judged| judged.names.contains(&number));
    let mut findings = judging::never_seen(plan, seen);
    if let (Some(LeftOut::Time(limit)), Some(orders)) = (shared.cut, &plan.orders) {
        let message = format!("not all orders could be run within {limit:?}");
        let mut finding = Finding::at(orders.span, message);
        finding.label = "give the scenario a longer `timeout`, or take a `sample`".to_owned();
        findings.push(finding);
    }
    if let (true, Some(orders)) = (shared.astray > 0, &plan.orders) {
        let message = format!(
            "{} orders were lost: others had to wait than the time before",
            shared.astray
        );
        let mut finding = Finding::at(orders.span, message);
        finding.label = "the server did something else each time".to_owned();
        findings.push(finding);
    }
    let chosen = !matches!(
        plan.orders.as_ref().map(|orders| &orders.choice),
        Some(OrderChoice::All)
    );
    let distinct = all.len();
    let stands_for = all
        .iter()
        .fold(0_u128, |sum, judged| sum.saturating_add(judged.stands_for));
    let failing = all.iter().filter(|judged| !judged.findings.is_empty());
    let failed = failing.clone().count();
    // Those that fail in the same way teach nothing new.
    let mut told: Vec<Vec<String>> = Vec::new();
    let failing: Vec<FailingOrder> = failing
        .filter(|judged| {
            let messages = judged.findings.iter().map(|one| one.message.clone());
            let detail = judged.findings.iter().filter_map(|one| one.detail.clone());
            let key: Vec<String> = messages.chain(detail).collect();
            let new = !told.contains(&key) && told.len() < FAILING_MAX;
            if new {
                told.push(key);
            }
            new
        })
        .map(|judged| FailingOrder {
            order: judged.order.clone(),
            findings: judged.findings.clone(),
            history: judged.history.clone(),
            shrunk: None,
            misfits: judged.misfits.clone(),
        })
        .collect();
    Explored {
        orders: number_of_orders(&plan.connections),
        run: shared.started,
        distinct,
        stands_for,
        left_out: shared.cut.or(chosen.then_some(LeftOut::Asked)),
        outcomes: groups,
        failing,
        failed,
        findings,
        histories: all.into_iter().map(|judged| judged.history).collect(),
        astray: shared.astray,
        server: String::new(),
        puts_back: false,
        took: began.elapsed(),
    }
}

/// Runs one order once, for whoever looks for shorter ones: what did not hold, and why it is no outcome.
async fn once(
    plan: &TrialPlan,
    stage: &mut Stage,
    chooser: &mut dyn Chooser,
    skip: &[usize],
) -> Option<(Vec<Finding>, Option<Misfits>)> {
    let ran = stage.run(chooser, skip).await.ok()?;
    let findings = match judge(plan, &ran.history) {
        Verdict::Passed => Vec::new(),
        Verdict::Failed(findings) => findings,
    };
    Some((findings, Misfits::of(plan, &ran.history)))
}
