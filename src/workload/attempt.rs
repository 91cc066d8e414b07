//! One transaction of a workload, from its BEGIN to what is known of its end.

use std::sync::atomic::Ordering;

use super::client::{Client, Stop, is_conflict};
use super::kind::Kind;
use super::shared::{add, lock};
use crate::isolation::Status;

/// What the operations of one transaction are.
pub(super) enum Work {
    /// Those of the kind.
    Usual,
    /// What the table holds at first.
    Fill,
    /// A last look at these keys.
    Look(Vec<i64>),
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It committed.
    Ok,
    /// It failed for another transaction's sake.
    Conflict,
    /// It failed for another reason, or nobody knows how it ended.
    Other,
}

/// Runs one transaction. Afterwards the client has a session, unless none can be opened.
///
/// # Errors
/// Why no session can be opened.
pub(super) async fn attempt(client: &mut Client, kind: &dyn Kind, work: &Work) -> Result<Ended, String> {
    if matches!(work, Work::Usual) {
        kind.before(client);
    }
    let stop = match client.begin().await {
        Ok(()) => operations(client, kind, work).await.err(),
        Err(stop) => Some(stop),
    };
    let (status, error) = match &stop {
        None => client.commit().await,
        Some(stop) => (Status::Failed, client.give_up(stop).await),
    };
    if let Some(Stop::Unexpected(what)) = &stop {
        client.shared.count_error(0, what);
    }
    if let Some(error) = &error {
        client.shared.count_error(error.code, &error.message);
    }
    if let (Status::Ok, Some(broken)) = (status, client.broken.take()) {
        let mut count = lock(&client.shared.counts.broken);
        count.0 += 1;
        let first = format!("process {}: {broken}", client.process());
        count.1.get_or_insert(first);
    }
    if matches!(work, Work::Usual) {
        kind.after(client, status);
    }
    if !client.has_session() {
        client.replace().await?;
    }
    Ok(match (status, error) {
        (Status::Ok, _) => Ended::Ok,
        (Status::Failed, Some(error)) if is_conflict(error.code) => Ended::Conflict,
        (Status::Failed | Status::Unknown, _) => Ended::Other,
    })
}

async fn operations(client: &mut Client, kind: &dyn Kind, work: &Work) -> Result<(), Stop> {
    match work {
        Work::Usual => kind.run(client).await,
        Work::Fill => kind.fill(client).await,
        Work::Look(keys) => {
            for key in keys {
                kind.look(client, *key).await?;
            }
            Ok(())
        }
    }
}

/// Runs one transaction, and tries it again after conflicts as often as the workload says: the same operations on new values.
///
/// # Errors
/// Why no session can be opened.
pub(super) async fn with_retries(client: &mut Client, kind: &dyn Kind) -> Result<(), String> {
    let retries = client.shared.plan.retries;
    for left in (0..=retries).rev() {
        let before = (left > 0).then(|| client.rng.clone());
        let ended = attempt(client, kind, &Work::Usual).await?;
        if ended != Ended::Conflict || client.shared.stop.load(Ordering::Relaxed) {
            break;
        }
        if let Some(before) = before {
            client.rng = before;
            add(&client.shared.counts.retried);
        }
    }
    Ok(())
}
