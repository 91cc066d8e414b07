//! A database that is played: versions by commit timestamp, locks, the modes of TiDB, and faults on demand.

use std::collections::{BTreeMap, BTreeSet};

use tidb_scenarios::isolation::{
    Action, Header, History, HistoryBuilder, IsolationSetting, ReadLock, Status, Transaction,
    TransactionMode, Value,
};

use super::agree::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    PessimisticPlain,
    PessimisticForUpdate,
    ReadCommitted,
    Optimistic,
}

pub const MODES: [Mode; 4] = [
    Mode::PessimisticPlain,
    Mode::PessimisticForUpdate,
    Mode::ReadCommitted,
    Mode::Optimistic,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// A read is answered from an older snapshot.
    StaleRead,
    /// An acknowledged commit is nowhere.
    DroppedCommit,
    /// Of an acknowledged commit, one key is missing.
    TornCommit,
    /// A transaction is reported as failed and takes effect.
    AbortedApplied,
    /// A read shows what another transaction has not committed yet.
    DirtyRead,
    /// A commit is acknowledged, and seen only later.
    LateCommit,
    /// The answer to COMMIT is lost, whether it took effect or not: the client says so. This is no fault of isolation.
    LostAnswer,
}

/// What to play.
#[derive(Debug, Clone, Copy)]
pub struct Play {
    pub mode: Mode,
    pub fault: Fault,
    pub registers: bool,
    pub timestamps: bool,
    pub transactions: usize,
    pub clients: usize,
    pub keys: u64,
    pub seed: u64,
}

impl Default for Play {
    fn default() -> Self {
        Self {
            mode: Mode::PessimisticPlain,
            fault: Fault::None,
            registers: false,
            timestamps: true,
            transactions: 300,
            clients: 6,
            keys: 4,
            seed: 1,
        }
    }
}

type Values = Vec<i64>;

#[derive(Debug, Clone, Copy)]
enum Statement {
    Read(u64),
    Append(u64, i64),
}

struct Client {
    process: i64,
    statements: Vec<Statement>,
    at: usize,
    start: u64,
    for_update: u64,
    invoke: u64,
    waited: u32,
    pending: BTreeMap<u64, Values>,
    locks: BTreeSet<u64>,
    record: Transaction,
}

struct Database {
    play: Play,
    random: Random,
    oracle: u64,
    clock: u64,
    /// Of each key, its values by commit_ts.
    versions: BTreeMap<u64, Vec<(u64, Values)>>,
    /// Commits that are installed later: when, and what.
    late: Vec<(u64, u64, BTreeMap<u64, Values>)>,
    next_value: i64,
    next_process: i64,
}

impl Database {
    fn tick(&mut self) -> u64 {
        self.clock += 1 + self.random.below(100);
        self.clock
    }

    fn timestamp(&mut self) -> u64 {
        self.oracle += 1 + self.random.below(5);
        self.oracle
    }

    fn newest(&self, key: u64, ts: u64) -> Values {
        let versions = self.versions.get(&key).map_or(&[][..], Vec::as_slice);
        let count = versions.partition_point(|(commit, _)| *commit <= ts);
        count
            .checked_sub(1)
            .map_or_else(Vec::new, |at| versions[at].1.clone())
    }

    fn install(&mut self, commit: u64, values: &BTreeMap<u64, Values>) {
        for (key, values) in values {
            let versions = self.versions.entry(*key).or_default();
            versions.push((commit, values.clone()));
            versions.sort_by_key(|(commit, _)| *commit);
        }
    }

    fn begin(&mut self, process: i64) -> Client {
        let count = 1 + self.random.below(4);
        let statements = (0..count)
            .map(|_| {
                let key = self.random.below(self.play.keys);
                if self.random.below(2) == 0 {
                    return Statement::Read(key);
                }
                self.next_value += 1;
                Statement::Append(key, self.next_value)
            })
            .collect();
        let invoke = self.tick();
        Client {
            process,
            statements,
            at: 0,
            start: self.timestamp(),
            for_update: 0,
            invoke,
            waited: 0,
            pending: BTreeMap::new(),
            locks: BTreeSet::new(),
            record: Transaction::default(),
        }
    }
}

fn value(integer: i64) -> Value {
    Value::integer(integer).expect("a small one")
}

/// Plays it.
pub fn play(play: Play) -> (History, Vec<Transaction>) {
    let mut database = Database {
        play,
        random: Random(play.seed),
        oracle: 100,
        clock: 1_000,
        versions: BTreeMap::new(),
        late: Vec::new(),
        next_value: 0,
        next_process: play.clients as i64,
    };
    let mut clients: Vec<Client> = (0..play.clients).map(|at| database.begin(at as i64)).collect();
    let mut done: Vec<Transaction> = Vec::new();
    while done.len() < play.transactions {
        database.tick();
        let now = database.clock;
        let due: Vec<_> = database.late.extract_if(.., |(when, ..)| *when <= now).collect();
        for (_, commit, values) in due {
            database.install(commit, &values);
        }
        let at = database.random.below(play.clients as u64) as usize;
        if clients[at].at < clients[at].statements.len() {
            if !statement(&mut database, &mut clients, at) {
                continue;
            }
            if clients[at].waited < 40 {
                continue;
            }
        }
        let (status, process) = finish(&mut database, &mut clients[at]);
        let client = &mut clients[at];
        client.record.process = value(client.process);
        client.record.invoke = Some(client.invoke);
        client.record.status = status;
        client.record.returned = Some(database.tick()).filter(|_| status != Status::Unknown);
        if play.timestamps {
            client.record.start_ts = Some(client.start);
            client.record.for_update_ts = Some(client.for_update).filter(|ts| *ts > 0);
        }
        done.push(client.record.clone());
        clients[at] = database.begin(process);
    }
    (history(play, &done), done)
}

pub fn header(play: Play) -> Header {
    Header {
        mode: Some(if play.mode == Mode::Optimistic {
            TransactionMode::Optimistic
        } else {
            TransactionMode::Pessimistic
        }),
        isolation: Some(if play.mode == Mode::ReadCommitted {
            IsolationSetting::ReadCommitted
        } else {
            IsolationSetting::RepeatableRead
        }),
        read_lock: Some(if play.mode == Mode::PessimisticForUpdate {
            ReadLock::ForUpdate
        } else {
            ReadLock::Plain
        }),
        seed: Some(play.seed),
        ..Header::default()
    }
}

fn history(play: Play, transactions: &[Transaction]) -> History {
    let mut builder = HistoryBuilder::new();
    *builder.header_mut() = header(play);
    for transaction in transactions {
        builder.add(transaction).expect("a history");
    }
    builder.finish()
}

/// Runs one statement, unless it waits for a lock; whether something came of it. A wait that lasts ends the transaction.
fn statement(database: &mut Database, clients: &mut [Client], at: usize) -> bool {
    let Play {
        mode,
        fault,
        registers,
        timestamps,
        ..
    } = database.play;
    let statement = clients[at].statements[clients[at].at];
    let (key, appends) = match statement {
        Statement::Read(key) => (key, false),
        Statement::Append(key, _) => (key, true),
    };
    let locks = mode != Mode::Optimistic && (appends || mode == Mode::PessimisticForUpdate);
    if locks
        && clients
            .iter()
            .enumerate()
            .any(|(other, client)| other != at && client.locks.contains(&key))
    {
        clients[at].waited += 1;
        return clients[at].waited >= 40;
    }
    let ts = match (mode, locks) {
        (Mode::Optimistic, _) | (Mode::PessimisticPlain, false) => clients[at].start,
        _ => database.timestamp(),
    };
    if locks {
        clients[at].locks.insert(key);
        clients[at].for_update = ts;
    }
    let dirty = clients
        .iter()
        .enumerate()
        .find(|(other, client)| *other != at && client.pending.contains_key(&key))
        .map(|(_, client)| client.pending[&key].clone());
    let is_faulty = !appends && database.random.below(25) == 0;
    let mut seen = match (fault, dirty) {
        (Fault::StaleRead, _) if is_faulty => database.newest(key, ts.saturating_sub(60)),
        (Fault::DirtyRead, Some(dirty)) if is_faulty => dirty,
        _ => database.newest(key, ts),
    };
    let client = &mut clients[at];
    if let Some(own) = client.pending.get(&key) {
        seen.clone_from(own);
    }
    client.at += 1;
    let name = value(key as i64);
    let operation = match statement {
        Statement::Append(_, appended) => {
            seen.push(appended);
            client.pending.insert(key, seen);
            let action = if registers {
                Action::Write(name, value(appended))
            } else {
                Action::Append(name, value(appended))
            };
            client.record.push(action)
        }
        Statement::Read(_) if registers => client.record.push(Action::Read(
            name,
            seen.last().map_or(Value::NULL, |last| value(*last)),
        )),
        Statement::Read(_) => client.record.read_list(name, seen.into_iter().map(value)),
    };
    operation.locking = locks && !appends;
    operation.read_ts = timestamps.then_some(ts);
    true
}

/// COMMIT: what the client is told, and which process goes on.
fn finish(database: &mut Database, client: &mut Client) -> (Status, i64) {
    let Play {
        mode,
        fault,
        timestamps,
        ..
    } = database.play;
    let timed_out = client.waited >= 40;
    let conflicts = mode == Mode::Optimistic
        && client.pending.keys().any(|key| {
            let versions = database.versions.get(key).map_or(&[][..], Vec::as_slice);
            versions.last().is_some_and(|(commit, _)| *commit > client.start)
        });
    client.locks.clear();
    let is_faulty = database.random.below(8) == 0;
    // Now and then a client changes its mind.
    let rolled_back = database.random.below(15) == 0;
    if timed_out || conflicts || rolled_back {
        if fault == Fault::AbortedApplied
            && rolled_back
            && !timed_out
            && !conflicts
            && !client.pending.is_empty()
        {
            let commit = database.timestamp();
            database.install(commit, &client.pending);
        }
        return (Status::Failed, client.process);
    }
    let commit = database.timestamp();
    let mut values = client.pending.clone();
    if timestamps && !values.is_empty() {
        client.record.commit_ts = Some(commit);
    }
    match fault {
        Fault::DroppedCommit if is_faulty => values.clear(),
        Fault::TornCommit if is_faulty && values.len() > 1 => {
            values.pop_first();
        }
        Fault::LateCommit if is_faulty => {
            let when = database.clock + 2_000;
            database.late.push((when, commit, values));
            return (Status::Ok, client.process);
        }
        Fault::LostAnswer if is_faulty => {
            client.record.commit_ts = None;
            if database.random.below(2) == 0 {
                values.clear();
            }
            database.install(commit, &values);
            database.next_process += 1;
            return (Status::Unknown, database.next_process);
        }
        _ => {}
    }
    database.install(commit, &values);
    (Status::Ok, client.process)
}
