//! How long what is waited for may take, and how often it is asked about.

use std::time::Duration;

/// The limit for one statement of the setup, the teardown or a final query.
pub(super) const CONTROL_MAX: Duration = Duration::from_secs(60);
/// How long a schema change waits for its turn. Turns are for speed only, so that one that hangs must not hold
/// up the others for ever.
pub(super) const TURN_MAX: Duration = Duration::from_secs(10);
/// How long tear-down waits until the server has forgotten the trial's transactions: a session whose client is gone
/// keeps its locks until its wait ends, which a KILL does within a second.
pub(super) const FORGET_MAX: Duration = Duration::from_secs(10);
/// How long a lock wait may show after it must have ended: a release takes 1 to 3 ms, and a busy machine makes
/// seconds of them.
pub(super) const RELEASE_MAX: Duration = Duration::from_secs(3);
/// How long a statement that is no longer blocked may take to return, or to be blocked again: a commit in back-off tries
/// again after up to 2.5 s.
pub(super) const RETURN_MAX: Duration = Duration::from_secs(5);
/// Between two polls of a statement that may be blocked, or of one that was: a poll costs 0.3 to 0.5 ms.
pub(crate) const POLL_EVERY: Duration = Duration::from_millis(2);
/// Between two polls of a statement that is not blocked any more, and takes its time.
pub(super) const RETURN_POLL_EVERY: Duration = Duration::from_millis(50);
/// Between two looks at which concurrent connections are blocked. Nothing waits for them: they are for whoever
/// watches, so that they may be rare.
pub(super) const WATCHED_EVERY: Duration = Duration::from_millis(50);
/// How long statements that run may take to end before `always` is asked: new ones are held back meanwhile.
pub(super) const IDLE_MAX: Duration = Duration::from_millis(50);
/// A statement of a concurrent connection is asked about when it has run this long: most have returned by then.
pub(super) const SLOW: Duration = Duration::from_millis(100);
/// Between two looks whether the sessions of connections that rest are there: a lost one is to be known within
/// about a second.
pub(super) const HEALTH_EVERY: Duration = Duration::from_secs(1);
