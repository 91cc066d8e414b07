//! A trial's turn, among those of this process and of others.

use crate::connection::{ConnectionOptions, Gate};
use crate::plan::TrialPlan;
use crate::server::Server;
use crate::turns::{Claim, ServerTurn};

/// What a trial must not share with others.
pub(super) fn claim_of(plan: &TrialPlan) -> Claim {
    Claim {
        alone: plan.runs_alone(),
        locks: plan.user_locks.names.clone(),
        any_lock: plan.user_locks.unknown,
    }
}

/// The trial's turn among all processes that work on a server that stays.
pub(super) async fn turn_on(server: &Server, claim: &Claim, name: &str) -> Result<ServerTurn, String> {
    let options = ConnectionOptions {
        gate: Gate::default(),
        ..server.options().clone()
    };
    let waits = || {
        super::output::say(&format!(
            "{name}: another run is at work on this server; it waits for its turn"
        ))
    };
    let turn = ServerTurn::take(server.config(), &options, claim, waits).await;
    turn.map_err(|error| error.to_string())
}
