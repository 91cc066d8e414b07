//! Runs the steps in the order of the file: each starts when the one before it has returned or is known to be
//! blocked.

use std::sync::Arc;
use std::time::Instant;

use super::driver::Driver;
use super::limits::{POLL_EVERY, RELEASE_MAX, RETURN_MAX, RETURN_POLL_EVERY};
use super::watch::{Confidence, StepProgress};
use crate::history::{Skipped, Stopped};
use crate::plan::Action;

/// Runs all steps from this one on, or those up to where the file cannot be followed any more. Where `pauses` says so
/// after a step, it returns the number of the next one, to be called with it again.
pub(super) async fn run(
    driver: &mut Driver<'_>,
    from: usize,
    pauses: &(dyn Fn(&Driver<'_>) -> bool + Sync),
) -> Option<usize> {
    match steps(driver, from, pauses).await {
        Ok(next) => next,
        Err(stopped) => {
            driver.stopped = Some(stopped);
            None
        }
    }
}

async fn steps(
    driver: &mut Driver<'_>,
    from: usize,
    pauses: &(dyn Fn(&Driver<'_>) -> bool + Sync),
) -> Result<Option<usize>, Stopped> {
    let plan = Arc::clone(&driver.plan);
    if from == 0 {
        driver.always(None).await;
    }
    let mut just_seen = None;
    for (number, step) in plan.steps.iter().enumerate().skip(from) {
        driver.drain();
        check_waiting(driver, number, just_seen.take()).await?;
        await_free(driver, number, step.connection).await?;
        if let Some(reason) = driver.sessions[step.connection].failed.clone() {
            driver.skipped.push(Skipped { step: number, reason });
            continue;
        }
        let record = driver.start(number);
        let confidence = match step.blocked {
            Some(_) => Confidence::Expected,
            None => Confidence::Unexpected,
        };
        match driver.watch(record, confidence).await {
            StepProgress::Returned => {}
            StepProgress::Blocked => just_seen = Some(record),
            StepProgress::Aborted(stopped) => return Err(stopped),
        }
        driver.settle_kill(record).await?;
        for (other, _) in &step.unblocks {
            await_release(driver, *other, record).await?;
        }
        driver.always(Some(number)).await;
        if pauses(driver) {
            return Ok(Some(number + 1));
        }
    }
    // What is still blocked expects an error of its own, such as a lock wait timeout.
    let running = driver.running();
    let waited = !running.is_empty();
    for connection in running {
        if let Some(record) = driver.sessions[connection].running {
            driver.await_end(record).await;
        }
    }
    driver.check_lingering().await?;
    if waited {
        driver.always(plan.steps.len().checked_sub(1)).await;
    }
    Ok(None)
}

/// Before each step: every connection that is blocked must be so still. Whoever is not any more returns first, so that
/// it is known which step ended its wait. `just_seen` is the record of the step before, if the server has just shown that
/// it is blocked: nothing has run since.
async fn check_waiting(
    driver: &mut Driver<'_>,
    number: usize,
    just_seen: Option<usize>,
) -> Result<(), Stopped> {
    for connection in driver.running() {
        let Some(record) = driver.sessions[connection].running else {
            continue;
        };
        if just_seen == Some(record) {
            continue;
        }
        let deadline = Instant::now() + RETURN_MAX;
        loop {
            let blocked = driver.is_blocked(record).await?;
            driver.drain();
            if driver.is_done(record) {
                break;
            }
            if let Some(blocked) = blocked {
                driver.note_held(record, &blocked);
                break;
            }
            driver.note_released(record);
            if Instant::now() >= deadline {
                driver.note_not_waiting(record, number);
                break;
            }
            driver.next_report(Instant::now() + POLL_EVERY).await;
        }
    }
    // A session that was lost while it was blocked may be so still.
    driver.check_lingering().await
}

/// A step for a connection that may be busy: its statement must end by itself, and may take its time only if it is
/// expected to end with an error.
async fn await_free(driver: &mut Driver<'_>, number: usize, connection: usize) -> Result<(), Stopped> {
    let Some(record) = driver.sessions[connection].running else {
        return Ok(());
    };
    if !driver.step_of(record).wants_error() {
        return Err(Stopped::StillBlocked { record, step: number });
    }
    driver.await_end(record).await;
    Ok(())
}

/// After a step that must end a wait.
async fn await_release(driver: &mut Driver<'_>, connection: usize, by: usize) -> Result<(), Stopped> {
    let Some(record) = driver.sessions[connection].running else {
        return await_lost(driver, connection, by).await;
    };
    let timeout = driver.step_of(record).timeout;
    let began = Instant::now();
    // The locks of a killed session may stay until their time to live ends: its roll-back is killed, too.
    let killed = matches!(driver.step_of(by).action, Action::Kill { connection: true, .. });
    let soon = began + if killed { timeout } else { timeout.min(RELEASE_MAX) };
    while !driver.is_done(record) && Instant::now() < soon {
        driver.next_report(soon).await;
    }
    if driver.is_done(record) {
        return Ok(());
    }
    // A schema change takes its time, and so does a statement that tries again and again; but nobody holds them back.
    while !driver.is_done(record) && driver.is_blocked(record).await?.is_none() {
        let now = Instant::now();
        if now >= began + timeout {
            break;
        }
        driver.next_report(now + RETURN_POLL_EVERY).await;
    }
    if driver.is_done(record) {
        Ok(())
    } else {
        Err(Stopped::NotReleased { record, by })
    }
}

/// The same for a connection that was lost while it was blocked: the server has to end its session.
async fn await_lost(driver: &mut Driver<'_>, connection: usize, by: usize) -> Result<(), Stopped> {
    let Some(record) = driver.lingering_of(connection) else {
        return Ok(());
    };
    let deadline = Instant::now() + driver.step_of(record).timeout;
    while driver.lingering.contains(&record) && Instant::now() < deadline {
        driver.check_lingering().await?;
        driver.next_report(Instant::now() + RETURN_POLL_EVERY).await;
    }
    if driver.lingering.contains(&record) {
        return Err(Stopped::NotReleased { record, by });
    }
    Ok(())
}
