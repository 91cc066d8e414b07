//! Whom a Ctrl-C is for while somebody looks at a trial that is held.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// What a first Ctrl-C does while somebody looks at a trial: it goes on.
#[derive(Debug, Default)]
pub(super) struct Looking {
    now: AtomicBool,
    go_on: Notify,
}

impl Looking {
    /// From now on a Ctrl-C is for this.
    pub fn begin(&self) {
        self.now.store(true, Ordering::SeqCst);
    }

    pub fn end(&self) {
        self.now.store(false, Ordering::SeqCst);
    }

    /// Returns at a Ctrl-C.
    pub async fn ctrl_c(&self) {
        self.go_on.notified().await;
    }

    /// Whether a Ctrl-C was meant for the trial that is looked at, which goes on then.
    pub fn takes_ctrl_c(&self) -> bool {
        let taken = self.now.swap(false, Ordering::SeqCst);
        if taken {
            self.go_on.notify_one();
        }
        taken
    }
}
