//! The embedded provider: a TiDB of our own, a process that dies with us.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use super::ServerSettings;
use super::build::{Cache, Target};
use super::error::{FAILED_LINES, StartError};
use super::lifeline::{self, Lifeline};
use super::probe::{self, Identity, NotReady};
use super::spec::{ServerSpec, Store, TOKEN_LIMIT};
use crate::connection::ConnectionConfig;

/// How often a start is tried when another process takes one of the ports meanwhile.
const PORT_TRIES: usize = 5;

/// Starts the server and waits for its first answer.
pub(super) async fn start(
    settings: &ServerSettings,
    spec: &ServerSpec,
) -> Result<(Lifeline, ConnectionConfig, Identity), StartError> {
    let cache = Cache::open(settings.cache_dir.as_deref(), Target::HOST)?;
    let binary = cache.binary(settings.progress).await?;
    let mut tries = 1;
    loop {
        match start_once(&binary, settings, spec).await {
            Err(StartError::Ended { log, .. })
                if tries < PORT_TRIES && log.contains("address already in use") =>
            {
                tracing::info!(tries, "a port was taken by another process, trying others");
                tries += 1;
            }
            result => return result,
        }
    }
}

async fn start_once(
    binary: &Path,
    settings: &ServerSettings,
    spec: &ServerSpec,
) -> Result<(Lifeline, ConnectionConfig, Identity), StartError> {
    let dir = lifeline::new_run_dir();
    let process = |source| StartError::Process {
        path: binary.to_path_buf(),
        source,
    };
    let [port, status] = free_ports().map_err(process)?;
    let args = args(&dir, port, status, spec);
    tracing::debug!(?binary, ?args, "starting tidb-server");
    let line = Lifeline::start(&dir, binary.as_os_str(), &args, &[])
        .await
        .map_err(process)?;
    let config = ConnectionConfig {
        id: "embedded".to_owned(),
        host: Ipv4Addr::LOCALHOST.to_string(),
        port,
        username: "root".to_owned(),
        password: String::new(),
        database: None,
    };
    let is_ours = |identity: &Identity| {
        identity
            .setting("temp-dir")
            .is_some_and(|temp| Path::new(temp).starts_with(&dir))
    };
    let ready = probe::wait_ready(
        &config,
        &super::spec::own_options(),
        settings.start_max,
        line.ended(),
        is_ours,
    )
    .await;
    match ready {
        Ok(identity) => Ok((line, config, identity)),
        Err(reason) => {
            let log = lifeline::tail(&line.log().await, FAILED_LINES);
            // The first failure is the one to tell.
            if let Err(error) = line.end().await {
                tracing::warn!(%error, "the server that failed to start is not gone");
            }
            Err(match reason {
                NotReady::Ended(code) => StartError::Ended {
                    what: "tidb-server",
                    code,
                    log,
                },
                NotReady::TooLate(last) => StartError::late(settings.start_max, last, log),
                NotReady::Failed(error) => StartError::probe(error),
            })
        }
    }
}

/// Two ports that are free now; another process may take them before the server does.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let listeners = [
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
    ];
    let [one, other] = listeners.each_ref().map(TcpListener::local_addr);
    Ok([one?.port(), other?.port()])
}

/// Everything that the server writes lies in `dir`, also by way of the working directory and TMPDIR.
fn args(dir: &Path, port: u16, status: u16, spec: &ServerSpec) -> Vec<OsString> {
    let in_dir = |flag: &str, name: &str| {
        let mut arg = OsString::from(flag);
        arg.push(dir.join(name));
        arg
    };
    let path = match spec.store {
        Store::Memory => "-path=".into(),
        Store::Persistent => in_dir("-path=", "store"),
    };
    let mut args = vec![
        "-store=unistore".into(),
        path,
        "-host=127.0.0.1".into(),
        "-advertise-address=127.0.0.1".into(),
        format!("-P={port}").into(),
        "-status-host=127.0.0.1".into(),
        format!("-status={status}").into(),
        "-socket=".into(),
        "-L=warn".into(),
        format!("-token-limit={TOKEN_LIMIT}").into(),
        in_dir("-temp-dir=", "temp"),
        in_dir("-log-slow-query=", "slow.log"),
    ];
    args.extend(spec.flag_args().map(OsString::from));
    args
}
