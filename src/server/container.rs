//! The container provider: a TiDB of our own in a container that is removed, whatever ends us.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures::StreamExt as _;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as EngineError;
use testcontainers::bollard::query_parameters::{CreateImageOptionsBuilder, LogsOptionsBuilder};
use testcontainers::core::IntoContainerPort as _;
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _, TestcontainersError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use super::ServerSettings;
use super::error::{FAILED_LINES, StartError};
use super::lifeline;
use super::probe::{self, Identity, NotReady};
use super::progress::Progress;
use super::reaper::{self, LABEL, REAPER_ARG};
use super::spec::{ServerSpec, Store, TOKEN_LIMIT};
use crate::connection::ConnectionConfig;

const SQL_PORT: u16 = 4000;
/// The limit for the engine to say that it is there.
const ENGINE_MAX: Duration = Duration::from_secs(3);
/// The limit for a pull's first byte, and between two signs of life later on.
const PULL_SILENCE_MAX: Duration = Duration::from_secs(20);
/// How often a container that starts is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// The limit for the reaper to say that it is there, and to go.
const REAPER_MAX: Duration = Duration::from_secs(10);

/// Whether a container engine answers, within 3 seconds.
pub async fn engine_answers() -> bool {
    engine().await.is_ok()
}

/// The engine, if it answers; otherwise why not.
pub(super) async fn engine() -> Result<Docker, String> {
    let ask = async {
        let engine = docker_client_instance()
            .await
            .map_err(|error| error.to_string())?;
        engine.ping().await.map_err(|error| error.to_string())?;
        Ok(engine)
    };
    match tokio::time::timeout(ENGINE_MAX, ask).await {
        Ok(Ok(engine)) => Ok(engine),
        Ok(Err::<_, String>(error)) => {
            tracing::debug!(%error, "no container engine");
            Err("no Docker engine answers".to_owned())
        }
        Err(_) => Err(format!(
            "the Docker engine did not answer in {} s",
            ENGINE_MAX.as_secs()
        )),
    }
}

/// Sees to it that the image is there: it is, or it is pulled.
pub(super) async fn have_image(engine: &Docker, image: &str, progress: Progress) -> Result<(), String> {
    if is_image_there(engine, image).await? {
        return Ok(());
    }
    let (name, tag) = split_reference(image);
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
    let mut task = progress.begin(format!("pulling {image}"));
    let mut layers = std::collections::BTreeMap::new();
    let mut events = std::pin::pin!(engine.create_image(Some(options), None, None));
    loop {
        let Ok(event) = tokio::time::timeout(PULL_SILENCE_MAX, events.next()).await else {
            let silence = PULL_SILENCE_MAX.as_secs();
            return Err(format!(
                "{image} is not there, and its pull was silent for {silence} s"
            ));
        };
        match event {
            None => break,
            Some(Err(error)) => {
                let reason = first_line(&error.to_string());
                return Err(format!("{image} is not there and cannot be pulled: {reason}"));
            }
            Some(Ok(info)) => {
                if let (Some(layer), Some(detail)) = (info.id, info.progress_detail)
                    && let (Some(got), Some(all)) = (detail.current, detail.total)
                {
                    layers.insert(layer, (got, all));
                }
                let (got, all) = layers.values().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
                task.update(&format!("{} of {} MB", got / 1_000_000, all / 1_000_000));
            }
        }
    }
    task.done();
    Ok(())
}

/// Whether the engine has an image.
pub(super) async fn is_image_there(engine: &Docker, image: &str) -> Result<bool, String> {
    match engine.inspect_image(image).await {
        Ok(_) => Ok(true),
        Err(EngineError::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
        Err(error) => Err(first_line(&error.to_string())),
    }
}

/// The engine's version, where it tells.
pub(super) async fn engine_version(engine: &Docker) -> Option<String> {
    engine.version().await.ok()?.version
}

/// The part of an engine's answer that tells why.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(200).collect()
}

/// `name:tag`, also for `host:port/name` and `name@sha256:digest`.
pub(super) fn split_reference(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        Some(_) | None => (image, "latest"),
    }
}

/// A container that runs, and who removes it when we can't.
#[derive(Debug)]
pub(super) struct Running {
    container: Guard,
    engine: Docker,
    reaper: Option<Reaper>,
}

/// Drops a container without a word: `ContainerAsync` would block the thread in its `Drop`, and
/// panics where no runtime is. The reaper removes it.
#[derive(Debug)]
struct Guard(Option<ContainerAsync<GenericImage>>);

impl Drop for Guard {
    fn drop(&mut self) {
        std::mem::forget(self.0.take());
    }
}

impl Running {
    pub(super) fn id(&self) -> Option<&str> {
        self.container.0.as_ref().map(|container| container.id())
    }

    pub(super) async fn is_running(&self) -> bool {
        match &self.container.0 {
            Some(container) => container.is_running().await.unwrap_or(false),
            None => false,
        }
    }

    pub(super) async fn log_tail(&self, lines: usize) -> Option<String> {
        Some(log_tail(&self.engine, self.id()?, lines).await)
    }

    /// Removes the container and lets the reaper go.
    pub(super) async fn end(mut self) -> Result<(), TestcontainersError> {
        if let Some(container) = self.container.0.take() {
            container.rm().await?;
        }
        if let Some(reaper) = self.reaper {
            reaper.dismiss().await;
        }
        Ok(())
    }
}

/// Starts a container and waits for its first answer.
pub(super) async fn start(
    settings: &ServerSettings,
    spec: &ServerSpec,
) -> Result<(Running, ConnectionConfig, Identity), StartError> {
    let unavailable = |reason| StartError::Container { reason };
    let engine = engine().await.map_err(unavailable)?;
    have_image(&engine, &settings.image, settings.progress)
        .await
        .map_err(unavailable)?;
    let run = format!("{:016x}", rand::random::<u64>());
    let mut reaper = None;
    if let Some(executable) = &settings.reaper {
        let started = Reaper::start(executable, &run).await;
        reaper = Some(started.map_err(StartError::Reaper)?);
    } else {
        tracing::warn!("no reaper is set: a container outlives this process if it is killed");
    }
    let (name, tag) = split_reference(&settings.image);
    let request = GenericImage::new(name, tag)
        .with_exposed_port(SQL_PORT.tcp())
        .with_cmd(args(spec))
        .with_label(LABEL, &run)
        .with_startup_timeout(settings.start_max);
    let started = request.start().await;
    let container = match started {
        Ok(container) => Guard(Some(container)),
        Err(error) => {
            // What was created before the failure is found by its label.
            let gone = reaper::remove_all(&engine, &run, Duration::ZERO).await;
            if gone && let Some(reaper) = reaper {
                reaper.dismiss().await;
            }
            return Err(StartError::Engine(Box::new(error)));
        }
    };
    if let Some(reaper) = &mut reaper {
        reaper.created().await;
    }
    let running = Running {
        container,
        engine,
        reaper,
    };
    match ready(&running, settings).await {
        Ok((config, identity)) => Ok((running, config, identity)),
        Err(error) => {
            // The first failure is the one to tell.
            if let Err(error) = running.end().await {
                tracing::warn!(%error, "the container that failed to start is not gone");
            }
            Err(error)
        }
    }
}

async fn ready(
    running: &Running,
    settings: &ServerSettings,
) -> Result<(ConnectionConfig, Identity), StartError> {
    let engine_error = |error| StartError::Engine(Box::new(error));
    let Guard(Some(container)) = &running.container else {
        return Err(StartError::Container {
            reason: "it was removed".to_owned(),
        });
    };
    let over = async || {
        let log = running.log_tail(FAILED_LINES).await.unwrap_or_default();
        let code = container.exit_code().await.ok().flatten().unwrap_or(-1);
        let code = i32::try_from(code).unwrap_or(-1);
        StartError::Ended {
            what: "the container",
            code,
            log,
        }
    };
    let port = match container.get_host_port_ipv4(SQL_PORT.tcp()).await {
        Ok(port) => port,
        // A container that is over has no ports.
        Err(_) if !running.is_running().await => return Err(over().await),
        Err(error) => return Err(engine_error(error)),
    };
    let host = match container.get_host().await.map_err(engine_error)?.to_string() {
        // The port is IPv4's, and `localhost` may be IPv6.
        name if name == "localhost" => "127.0.0.1".to_owned(),
        other => other,
    };
    let config = ConnectionConfig {
        id: "container".to_owned(),
        host,
        port,
        username: "root".to_owned(),
        password: String::new(),
        database: None,
    };
    let ended = async {
        while running.is_running().await {
            tokio::time::sleep(LOOK).await;
        }
        0
    };
    match probe::wait_ready(
        &config,
        &super::spec::own_options(),
        settings.start_max,
        ended,
        |_| true,
    )
    .await
    {
        Ok(identity) => Ok((config, identity)),
        Err(NotReady::Ended(_)) => Err(over().await),
        Err(NotReady::TooLate(last)) => {
            let log = running.log_tail(FAILED_LINES).await.unwrap_or_default();
            Err(StartError::late(settings.start_max, last, log))
        }
        Err(NotReady::Failed(error)) => Err(StartError::probe(error)),
    }
}

fn args(spec: &ServerSpec) -> Vec<String> {
    let path = match spec.store {
        Store::Memory => "-path=",
        Store::Persistent => "-path=/tmp/tidb-scenarios-store",
    };
    let token_limit = format!("-token-limit={TOKEN_LIMIT}");
    let ours = ["-store=unistore", path, "-socket=", "-L=warn", &token_limit];
    ours.into_iter()
        .map(str::to_owned)
        .chain(spec.flag_args())
        .collect()
}

async fn log_tail(engine: &Docker, id: &str, lines: usize) -> String {
    // More than is shown, as `tail` leaves out TiDB's usage.
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .tail("1000")
        .build();
    let mut log = String::new();
    let mut parts = std::pin::pin!(engine.logs(id, Some(options)));
    while let Some(Ok(part)) = parts.next().await {
        log.push_str(&String::from_utf8_lossy(&part.into_bytes()));
    }
    lifeline::tail(&log, lines)
}

/// Ourselves in a second process, which removes our containers when the pipe to it ends.
#[derive(Debug)]
struct Reaper {
    child: Child,
    pipe: ChildStdin,
}

impl Reaper {
    async fn start(executable: &Path, run: &str) -> std::io::Result<Self> {
        let mut child = Command::new(executable)
            .args([REAPER_ARG, run])
            // Ctrl-C goes to a whole process group.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(pipe), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("the pipes of a child are missing"));
        };
        let mut lines = BufReader::new(stdout).lines();
        let greeting = tokio::time::timeout(REAPER_MAX, lines.next_line()).await;
        match greeting {
            Ok(Ok(Some(line))) if line == reaper::GREETING => Ok(Self { child, pipe }),
            Ok(_) | Err(_) => {
                // Whatever it is, it does not know its job.
                child.start_kill()?;
                child.wait().await?;
                Err(std::io::Error::other(format!(
                    "{} is no reaper: its main does not call run_reaper_if_asked first",
                    executable.display()
                )))
            }
        }
    }

    /// Says that no creation is under way any more.
    async fn created(&mut self) {
        if let Err(error) = self.pipe.write_all(reaper::CREATED).await {
            tracing::warn!(%error, "the reaper has gone: the container outlives a killed process");
        }
    }

    /// Says that there is nothing left to remove, and waits until it has gone.
    async fn dismiss(mut self) {
        // One that has gone already needs no word.
        let _ = self.pipe.write_all(reaper::DISMISSED).await;
        drop(self.pipe);
        if tokio::time::timeout(REAPER_MAX, self.child.wait()).await.is_err() {
            tracing::warn!("the reaper has not ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_at_the_tag() {
        assert_eq!(split_reference("pingcap/tidb:v8.5.4"), ("pingcap/tidb", "v8.5.4"));
        assert_eq!(split_reference("pingcap/tidb"), ("pingcap/tidb", "latest"));
        assert_eq!(
            split_reference("localhost:5000/tidb"),
            ("localhost:5000/tidb", "latest")
        );
        assert_eq!(
            split_reference("localhost:5000/tidb:x"),
            ("localhost:5000/tidb", "x")
        );
    }
}
