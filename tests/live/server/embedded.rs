//! The embedded server, and how it ends.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tidb_scenarios::connection::Connection;
use tidb_scenarios::history::{Outcome, SqlValue};
use tidb_scenarios::server::{ProviderKind, Server, ServerSpec, StartError, Store, StoreEngine};

use crate::common::*;
use crate::owner::*;

pub fn embedded_with_a_bad_flag_shows_its_log() {
    runtime().block_on(async {
        let flags = vec![("no-such-flag".to_owned(), "1".to_owned())];
        let spec = ServerSpec {
            flags,
            ..ServerSpec::default()
        };
        let error = Server::start(&quiet(), ProviderKind::Embedded, &spec)
            .await
            .unwrap_err();
        assert!(matches!(error, StartError::Ended { code: 2, .. }), "{error:?}");
        let said = error.to_string();
        assert!(
            said.contains("flag provided but not defined: -no-such-flag"),
            "{said}"
        );
    });
}

pub fn embedded_with_a_bad_variable_is_an_error() {
    runtime().block_on(async {
        let vars = vec![("no_such_variable".to_owned(), "1".to_owned())];
        let spec = ServerSpec {
            vars,
            ..ServerSpec::default()
        };
        let error = Server::start(&quiet(), ProviderKind::Embedded, &spec)
            .await
            .unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            cause.contains("set global no_such_variable = 1") && cause.contains("1193"),
            "{cause}"
        );
    });
}

pub fn embedded_answers_and_goes() {
    runtime().block_on(async {
        let began = Instant::now();
        let server = Server::start(&quiet(), ProviderKind::Embedded, &ServerSpec::default())
            .await
            .unwrap();
        let started = began.elapsed();
        assert!(server.version().contains("v8.5.4"), "{}", server.version());
        assert_eq!(ask(&server, "select version()").await, server.version());
        assert!(
            ask(&server, "select tidb_version()")
                .await
                .contains("e4e814fdc0afe9c3a6e5e96f129d83df802ab820")
        );
        assert_eq!(server.tidb_version(), Some(semver::Version::new(8, 5, 4)));
        assert_eq!(server.store(), StoreEngine::Unistore);
        assert_eq!(server.kind(), ProviderKind::Embedded);
        assert!(
            ask(&server, "select @@tidb_config")
                .await
                .contains(r#""token-limit": 100000"#)
        );
        // What `embedded/unneeded.patch` leaves out is refused as by the whole server.
        let mut session = Connection::open(server.config(), server.options()).await.unwrap();
        let backup = session
            .execute("backup database test to 'local:///nowhere'")
            .await;
        assert_eq!(
            backup.error().map(|error| (error.code, error.message)),
            Some((1105, "BACKUP requires tikv store, not unistore".to_owned()))
        );
        session.close().await;
        assert!(server.is_alive().await);
        assert!(server.log_tail(5).await.unwrap().lines().count() <= 5);

        let pid = server.pid().unwrap();
        let dir = server.run_dir().unwrap().to_path_buf();
        // Files that TiDB opens or is in are all in its own directory.
        let process = PathBuf::from(format!("/proc/{pid}"));
        assert_eq!(fs::read_link(process.join("cwd")).unwrap(), dir);
        for fd in fs::read_dir(process.join("fd")).unwrap() {
            if let Ok(file) = fs::read_link(fd.unwrap().path())
                && let Some(name) = file.to_str()
                && name.starts_with('/')
            {
                let allowed = ["/dev/", "/proc/", "/sys/", dir.to_str().unwrap()];
                assert!(allowed.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            }
        }
        let began = Instant::now();
        server.stop().await.unwrap();
        println!(
            "embedded: started in {started:?}, stopped in {:?}",
            began.elapsed()
        );
        assert!(!is_running(pid) && !dir.exists());
    });
}

pub fn embedded_on_files_with_variables() {
    runtime().block_on(async {
        let spec = ServerSpec {
            store: Store::Persistent,
            flags: vec![("lease".to_owned(), "7s".to_owned())],
            vars: vec![("max_execution_time".to_owned(), "1234".to_owned())],
        };
        let began = Instant::now();
        let server = Server::start(&quiet(), ProviderKind::Embedded, &spec)
            .await
            .unwrap();
        let started = began.elapsed();
        assert_eq!(ask(&server, "select @@global.max_execution_time").await, "1234");
        assert!(
            ask(&server, "select @@tidb_config")
                .await
                .contains(r#""lease": "7s""#)
        );
        assert!(server.run_dir().unwrap().join("store/kv").is_dir());
        let (pid, dir) = (server.pid().unwrap(), server.run_dir().unwrap().to_path_buf());
        let began = Instant::now();
        server.stop().await.unwrap();
        println!(
            "embedded on files: started in {started:?}, stopped in {:?}",
            began.elapsed()
        );
        assert!(!is_running(pid) && !dir.exists());
    });
}

/// What `embedded/badger.patch` mends: without it this fails within seconds.
pub fn embedded_keeps_the_rows_of_old_snapshots() {
    const ROWS: usize = 3;
    const READERS: usize = 16;
    const READS: usize = 500;
    runtime().block_on(async {
        let server = Server::start(&quiet(), ProviderKind::Embedded, &ServerSpec::default())
            .await
            .unwrap();
        let run = async |sqls: &[&str]| {
            let mut session = Connection::open(server.config(), server.options()).await.unwrap();
            for sql in sqls {
                let outcome = session.execute(sql).await;
                assert!(outcome.error().is_none(), "{outcome:?}");
            }
            session
        };
        let setup = run(&[
            "create table test.account (id int primary key, balance int)",
            "insert into test.account values (0, 100), (1, 100), (2, 100)",
        ]);
        setup.await.close().await;
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..READERS {
            let mut session = run(&["start transaction with consistent snapshot"]).await;
            readers.spawn(async move {
                let mut wrong = 0;
                for _ in 0..READS {
                    let outcome = session.execute("select count(*) from test.account").await;
                    let Outcome::Rows(rows) = &outcome else {
                        panic!("{outcome:?}")
                    };
                    wrong += usize::from(rows.rows[0][0] != SqlValue::Int(3));
                }
                wrong
            });
        }
        // They go on until the set is dropped.
        let mut writers = tokio::task::JoinSet::new();
        for id in 0..ROWS {
            let mut session = run(&[]).await;
            writers.spawn(async move {
                let sql = format!("update test.account set balance = balance + 1 where id = {id}");
                while session.execute(&sql).await.error().is_none() {}
            });
        }
        let wrong: usize = readers.join_all().await.into_iter().sum();
        assert!(writers.try_join_next().is_none(), "a writer failed");
        assert_eq!(wrong, 0, "reads of {}", READERS * READS);
        drop(writers);
        server.stop().await.unwrap();
    });
}

pub fn embedded_that_dies_is_noticed() {
    runtime().block_on(async {
        let server = Server::start(&quiet(), ProviderKind::Embedded, &ServerSpec::default())
            .await
            .unwrap();
        let pid = server.pid().unwrap();
        let dir = server.run_dir().unwrap().to_path_buf();
        Command::new("kill")
            .args(["-KILL", &pid.to_string()])
            .status()
            .unwrap();
        let began = Instant::now();
        while server.is_alive().await {
            assert!(began.elapsed() < Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(server.log_tail(5).await.is_some_and(|log| !log.is_empty()));
        server.stop().await.unwrap();
        assert!(!dir.exists());
    });
}

pub fn embedded_goes_when(job: &str, signal: Option<&str>) {
    let mut owner = Owner::start(job, &[]);
    let pid: u32 = owner.up().parse().unwrap();
    match signal {
        Some(signal) => {
            assert!(is_running(pid) && !processes_of(owner.temp.path()).is_empty());
            owner.end(signal);
        }
        None => assert!(!owner.process.wait().unwrap().success()),
    }
    let took = owner.nothing_is_left(Duration::from_secs(5));
    println!("{job} {signal:?}: nothing was left after {took:?}");
    assert!(!is_running(pid));
}

pub fn embedded_goes_when_its_owner_is_killed() {
    embedded_goes_when("embedded", Some("-KILL"));
}

pub fn embedded_goes_when_its_owner_is_interrupted() {
    embedded_goes_when("embedded", Some("-INT"));
}

pub fn embedded_goes_when_its_owner_panics() {
    embedded_goes_when("embedded-panic", None);
}

pub fn embedded_goes_when_its_owner_is_killed_early() {
    for after_ms in [0, 3, 6, 10, 15, 20, 25, 30, 40, 60, 100, 200, 500, 1000] {
        let mut owner = Owner::start("embedded", &[]);
        std::thread::sleep(Duration::from_millis(after_ms));
        owner.end("-KILL");
        owner.nothing_is_left(Duration::from_secs(5));
    }
}
