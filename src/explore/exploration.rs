//! Runs all schedules that a plan asks for, several at the same time.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::explored::Explored;
use super::footprint::Schema;
use super::independence::DependencyRelation;
use super::random_schedules::random_schedules;
use super::sandbox::Sandbox;
use super::shrink::shrink;
use super::summary::summary;
use super::work::{Shared, Work, lock};
use crate::plan::{OrderChoice, OrdersPlan, TrialPlan, number_of_orders};
use crate::run::{RunSettings, TrialError};
use crate::server::Server;
use crate::sql::Product;
use crate::verdict::teardown;

/// So many schedules are run at the same time, each in databases of its own.
pub const SANDBOXES: usize = 4;

/// What exploring is asked for.
#[derive(Debug, Clone)]
pub struct ExploreSettings {
    /// Of a run; each sandbox adds its number to the database's name.
    pub run: RunSettings,
    /// How many schedules are run at the same time.
    pub sandboxes: usize,
    /// How long a smaller schedule that fails as well is looked for.
    pub shrink_max: Duration,
    /// Set by somebody who wants no more schedules to be begun: what was found until then is told.
    pub stop: Arc<AtomicBool>,
}

/// Runs the schedules that the plan asks for, and judges each.
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
    let Some(orders) = plan.orders() else {
        return Err(TrialError::new("the scenario has no `permutations`"));
    };
    let opening = Opening {
        plan,
        server,
        own,
        run: &settings.run,
    };
    let first = opening.sandbox(0).await?;
    let restores = first.restores();
    let given = given(plan, orders);
    let all = number_of_orders(&plan.connections);
    let wanted = match &given {
        None => usize::try_from(all).unwrap_or(usize::MAX),
        Some(given) => given.len(),
    };
    let seed = Some(orders.seed).filter(|_| all > u128::from(orders.most));
    let relation = relation(plan, orders, &first, server.product());
    let shared = Arc::new(Mutex::new(Shared::new(given, seed, relation)));
    let work = Work {
        plan: Arc::clone(plan),
        shared: Arc::clone(&shared),
        news: Arc::default(),
        deadline: began + plan.timeout,
        most: orders.most,
        without: orders.without.clone(),
        stop: Arc::clone(&settings.stop),
    };
    let count = if must_be_alone(plan) {
        1
    } else {
        // A second sandbox costs a setup; a few schedules are run sooner without.
        settings.sandboxes.min(wanted.div_ceil(4)).max(1)
    };
    let mut sandboxes = in_sandboxes(&work, first, count, &opening).await;
    let mut result = {
        let mut shared = lock(&shared);
        match shared.trouble.take() {
            Some(error) => Err(error),
            None => Ok(summary(plan, &mut shared, began)),
        }
    };
    if let Ok(explored) = &mut result {
        explored.server = server.title();
        explored.restores = restores;
        if let (Some(sandbox), OrderChoice::All | OrderChoice::Sample { .. }) =
            (sandboxes.first_mut(), &orders.choice)
        {
            let until = Instant::now() + settings.shrink_max;
            for failing in &mut explored.failing {
                failing.shrunk = shrink(plan, sandbox, failing, until).await;
            }
        }
        explored.took = began.elapsed();
    }
    let mut failed = Vec::new();
    for sandbox in sandboxes {
        failed.extend(sandbox.close().await);
    }
    // Each sandbox has databases of its own, and runs the whole teardown there.
    failed.sort_by_key(|one| one.statement);
    failed.dedup_by_key(|one| one.statement);
    if let Ok(explored) = &mut result {
        explored.findings.extend(teardown(plan, &failed));
    }
    result
}

/// What every sandbox is opened with.
struct Opening<'o> {
    plan: &'o Arc<TrialPlan>,
    server: &'o Server,
    own: &'o [Server],
    run: &'o RunSettings,
}

impl Opening<'_> {
    async fn sandbox(&self, number: usize) -> Result<Sandbox, TrialError> {
        let mut run = self.run.clone();
        if number > 0 {
            run.database = format!("{}_{number}", run.database);
        }
        Sandbox::open(Arc::clone(self.plan), self.server, self.own, run).await
    }
}

/// Works in the first sandbox and in others that are opened meanwhile, to the end.
async fn in_sandboxes(work: &Work, first: Sandbox, count: usize, opening: &Opening<'_>) -> Vec<Sandbox> {
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(work.clone().run(first));
    for number in 1..count {
        match opening.sandbox(number).await {
            Ok(sandbox) => drop(tasks.spawn(work.clone().run(sandbox))),
            Err(error) => {
                lock(&work.shared).trouble.get_or_insert(error);
                break;
            }
        }
    }
    let mut sandboxes = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(sandbox) => sandboxes.push(sandbox),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    sandboxes
}

/// The schedules that are asked for, the first one last; nothing, where the search finds them.
fn given(plan: &TrialPlan, orders: &OrdersPlan) -> Option<Vec<Vec<usize>>> {
    match &orders.choice {
        OrderChoice::All => None,
        OrderChoice::Sample { count, seed } => {
            let lengths: Vec<usize> = plan.connections.iter().map(|own| own.states.len()).collect();
            let mut given = random_schedules(&lengths, *count as usize, *seed);
            given.reverse();
            Some(given)
        }
        OrderChoice::One(order) => Some(vec![order.clone()]),
    }
}

/// Which steps depend on each other; all do, where nothing may be left out.
fn relation(
    plan: &TrialPlan,
    orders: &OrdersPlan,
    sandbox: &Sandbox,
    product: Product,
) -> DependencyRelation {
    // What may be left out follows from how TiDB's transactions see and lock.
    let prune = orders.prune && sandbox.has_only_tables() && product == Product::TiDb;
    if !prune || orders.choice != OrderChoice::All {
        return DependencyRelation::everything(plan.steps.len());
    }
    let schema = Schema {
        tables: &sandbox.tables(),
        tied: sandbox.is_tied(),
        timed: &sandbox.timed(),
        mode: sandbox.txn_mode(),
    };
    DependencyRelation::of_plan(plan, schema)
}

/// Whether it changes a whole server, uses its user-level locks or has servers of its own: that is for one at a time.
fn must_be_alone(plan: &TrialPlan) -> bool {
    let user_locks = |text: &str| text.to_ascii_lowercase().contains("get_lock");
    plan.serial || !plan.servers.is_empty() || plan.statements().any(|one| user_locks(one.text.source()))
}
