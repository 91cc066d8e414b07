//! Runs the steps in the order of the file: each starts when the one before it has returned or is known to be
//! blocked.

use std::sync::Arc;
use std::time::Instant;

use super::driver::Driver;
use super::holder::Waiting;
use super::limits::{POLL_EVERY, RELEASE_MAX, RETURN_MAX};
use super::watch::StepProgress;
use crate::history::{Skipped, Stopped, WaitRule};
use crate::lock_wait::Confidence;
use crate::plan::Action;

/// Runs all steps, or those up to where the file cannot be followed any more.
pub(super) async fn run(driver: &mut Driver<'_>) {
    if let Err(stopped) = steps(driver).await {
        driver.stopped = Some(stopped);
    }
}

async fn steps(driver: &mut Driver<'_>) -> Result<(), Stopped> {
    let plan = Arc::clone(&driver.plan);
    driver.always(None).await;
    for (number, step) in plan.steps.iter().enumerate() {
        driver.drain();
        check_waiting(driver, number).await?;
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
        match driver.watch(record, &|| confidence).await {
            StepProgress::Returned | StepProgress::Blocked => {}
            StepProgress::Aborted(stopped) => return Err(stopped),
        }
        for (other, _) in &step.unblocks {
            await_release(driver, *other, record).await?;
        }
        driver.always(Some(number)).await;
        // Only who explores asks what happened in which order.
        driver.events.clear();
    }
    // What is still blocked expects an error of its own, such as a lock wait timeout.
    let running = driver.running();
    let waited = !running.is_empty();
    for connection in running {
        if let Some(record) = driver.sessions[connection].running {
            driver.await_end(record).await;
        }
    }
    if waited {
        driver.always(plan.steps.len().checked_sub(1)).await;
    }
    Ok(())
}

/// Before each step: every connection that is blocked must be so still.
async fn check_waiting(driver: &mut Driver<'_>, number: usize) -> Result<(), Stopped> {
    for connection in driver.running() {
        let Some(record) = driver.sessions[connection].running else {
            continue;
        };
        let deadline = Instant::now() + RETURN_MAX;
        loop {
            // A lock that was let go of goes to its waiter within milliseconds, which a busy server makes many:
            // the step that let go of it is told from the next one only if the answer is awaited.
            let waiting = driver.still_waits(connection, record).await?;
            driver.drain();
            if driver.is_done(record) || matches!(waiting, Waiting::Held | Waiting::Unknown) {
                break;
            }
            if Instant::now() >= deadline {
                if waiting == Waiting::Gone {
                    driver.note_not_waiting(record, number);
                }
                break;
            }
            driver.next_report(Instant::now() + POLL_EVERY).await;
        }
    }
    Ok(())
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
        return Ok(());
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
    // A lock that is let go of goes to its waiter at once. A schema change takes its time then, and so
    // does a statement that tries again and again; but they are not held back any more.
    let rule = driver.wait_of(record).map(|wait| wait.rule);
    let lock_wait = matches!(rule, Some(WaitRule::SameLockWaitTwice { .. }));
    if !lock_wait && driver.still_waits(connection, record).await? != Waiting::Held {
        let deadline = began + timeout;
        while !driver.is_done(record) && Instant::now() < deadline {
            driver.next_report(deadline).await;
        }
    }
    if driver.is_done(record) {
        Ok(())
    } else {
        Err(Stopped::NotReleased { record, by })
    }
}
