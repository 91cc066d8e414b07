//! Import jobs and schema changes, as connections see them.

use super::Coordinator;
use super::message::Message;
use crate::history::{JobRecord, JobSeen, SqlValue, Vars};

impl Coordinator {
    /// One look at a job; what has changed since the look before, whoever looked, comes as events.
    pub fn saw_job(&self, connection: usize, seen: &JobSeen) {
        let mut words = self.note_job(connection, seen);
        if words.is_empty() {
            return;
        }
        let kind = seen.kind.word();
        for word in &mut words {
            *word = word.replace([' ', '-'], "_");
            self.emit(Some(connection), &format!("{kind}.{word}"), true);
            // A file names the jobs of its own trial alone; a program may follow several at once.
            if self.of_handlers {
                self.emit(Some(connection), &format!("{kind}.{}.{word}", seen.id), true);
            }
        }
    }

    /// Keeps what was seen, tells of it, and says in words what is new.
    fn note_job(&self, connection: usize, seen: &JobSeen) -> Vec<String> {
        let at_us = self.now_us();
        let mut shared = self.lock();
        let known = shared
            .jobs
            .iter()
            .position(|job| job.kind == seen.kind && job.id == seen.id);
        let number = known.unwrap_or_else(|| {
            shared.jobs.push(JobRecord {
                kind: seen.kind,
                id: seen.id,
                watchers: Vec::new(),
                phases: Vec::new(),
                fields: Vars::new(),
                ended: false,
            });
            shared.jobs.len() - 1
        });
        let Some(job) = shared.jobs.get_mut(number) else {
            return Vec::new();
        };
        if !job.watchers.contains(&connection) {
            job.watchers.push(connection);
        }
        // An older look may come in later than a newer one of another connection.
        let both = format!("{} {}", seen.status, seen.phase);
        let both = both.trim().to_owned();
        let last = job.phases.last().is_some_and(|(_, last)| *last == both);
        let earlier = job.phases.iter().any(|(_, earlier)| *earlier == both);
        if job.ended || (earlier && !last && !seen.ended) {
            return Vec::new();
        }
        let changed = |field: &str, now: &str| !matches!(job.fields.get(field), Some(SqlValue::Text(before)) if before == now);
        let mut words = Vec::new();
        if changed("status", &seen.status) {
            words.push(seen.status.clone());
        }
        if changed("phase", &seen.phase) && !seen.phase.is_empty() {
            words.push(seen.phase.clone());
        }
        if seen.ended {
            words.push("ended".to_owned());
        }
        if !last {
            job.phases.push((at_us, both));
        }
        // Time goes on in any case.
        let mut fields = seen.fields.iter().filter(|(name, _)| *name != "elapsed");
        let news = fields.any(|(name, value)| job.fields.get(name) != Some(value));
        job.fields.clone_from(&seen.fields);
        job.ended = seen.ended;
        let job = job.clone();
        let from = shared.connections.get(connection);
        let from = from.map_or("", |record| record.name.as_str());
        if known.is_none() {
            self.bus.publish(from, || Message::JobAdded(job.clone()));
        } else if news && !job.ended {
            self.bus.publish(from, || Message::JobUpdated(job.clone()));
        }
        if job.ended {
            self.bus.publish(from, || Message::JobCompleted(job));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::JobKind;

    #[test]
    fn an_older_look_that_comes_in_late_brings_no_event_twice() {
        let coordinator = Coordinator::new(["a", "b"], Vars::new());
        let seen = |status: &str, phase: &str| JobSeen {
            kind: JobKind::Import,
            id: 7,
            status: status.to_owned(),
            phase: phase.to_owned(),
            fields: Vars::from([
                ("status".to_owned(), SqlValue::Text(status.to_owned())),
                ("phase".to_owned(), SqlValue::Text(phase.to_owned())),
            ]),
            ended: status == "finished",
        };
        for (who, status, phase) in [
            (0, "pending", ""),
            (0, "running", "importing"),
            (1, "pending", ""),
            (1, "running", "importing"),
            (0, "running", "validating"),
            (1, "running", "importing"),
            (0, "finished", ""),
            (1, "running", "validating"),
        ] {
            coordinator.saw_job(who, &seen(status, phase));
        }
        let events = coordinator.look(|shared| {
            let names = shared.events.iter().map(|event| event.name.clone());
            names.collect::<Vec<_>>()
        });
        let wanted = [
            "pending",
            "running",
            "importing",
            "validating",
            "finished",
            "ended",
        ];
        assert_eq!(events, wanted.map(|word| format!("import.{word}")));
    }
}
