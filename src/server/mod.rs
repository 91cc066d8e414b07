//! Gets a TiDB that answers, and gives it back; one file for each provider.
//!
//! | provider | file | who starts it | what ends it when we are killed |
//! |---|---|---|---|
//! | url | `url.rs` | somebody else | nothing; it is theirs |
//! | container | `container.rs` | we, by the engine | `reaper.rs` |
//! | embedded | `embedded.rs` | we, as a process | `lifeline.rs` |
//!
//! **Architecture invariant:** nothing here reads the environment but `PATH` (for `go` and `sh`), the
//! engine's own variables and the user's cache directory; settings come as a value. No password is
//! ever part of a text.

mod build;
mod choose;
mod container;
mod embedded;
mod error;
mod examine;
mod image;
mod lifeline;
mod patches;
mod probe;
mod progress;
mod reaper;
mod settings;
mod spec;
mod url;

use std::sync::Arc;

use tokio::sync::Mutex;

pub use build::BuildError;
pub use choose::{Choice, Known, NoServer, choose, known_before_start};
pub use container::engine_answers;
pub use error::{StartError, StopError};
pub use examine::{Examination, examine};
pub use image::{ImageError, build_image};
pub use patches::PatchError;
pub use probe::StoreEngine;
pub use progress::Progress;
pub use reaper::{LABEL as CONTAINER_LABEL, run_reaper_if_asked};
pub use settings::{DEFAULT_IMAGE, ProviderKind, ServerSettings, SettingsError};
pub use spec::{ServerSpec, Store};
pub use url::UrlError;

use crate::connection::{ConnectionConfig, ConnectionOptions};
use crate::sql::Product;
use lifeline::Lifeline;
use probe::Identity;
use spec::own_options;

/// A TiDB that answers. [`Server::stop`] ends it and waits for that; dropping it, and any death of this
/// process, ends it too, but in the background.
#[derive(Debug)]
pub struct Server {
    config: ConnectionConfig,
    options: ConnectionOptions,
    identity: Identity,
    backing: Backing,
    schema_changes: Arc<Mutex<()>>,
}

#[derive(Debug)]
enum Backing {
    Url,
    Container(Box<container::Running>),
    Embedded(Box<Lifeline>),
}

impl Server {
    /// Starts (or, for a URL, reaches) a server and waits for its first answer. It builds and pulls
    /// what is missing.
    ///
    /// # Errors
    /// [`StartError`]; with the end of the server's log if it came so far. Nothing is left behind.
    ///
    /// # Cancellation
    /// Dropping the future ends what was started, in the background.
    pub async fn start(
        settings: &ServerSettings,
        kind: ProviderKind,
        spec: &ServerSpec,
    ) -> Result<Self, StartError> {
        spec.check(kind)?;
        let mut options = own_options();
        let (config, identity, backing) = match kind {
            ProviderKind::Url => {
                let target = settings.url_target()?;
                options = target.options;
                let identity = probe::identify(&target.config, &options)
                    .await
                    .map_err(StartError::probe)?;
                (target.config, identity, Backing::Url)
            }
            ProviderKind::Container => {
                let (running, config, identity) = container::start(settings, spec).await?;
                (config, identity, Backing::Container(Box::new(running)))
            }
            ProviderKind::Embedded => {
                let (line, config, identity) = embedded::start(settings, spec).await?;
                (config, identity, Backing::Embedded(Box::new(line)))
            }
        };
        let server = Self {
            config,
            options,
            identity,
            backing,
            schema_changes: Arc::default(),
        };
        tracing::info!(%kind, version = server.version(), port = server.config.port, "server answers");
        if let Err(error) = probe::set_globals(&server.config, &server.options, spec).await {
            // The first failure is the one to tell.
            if let Err(error) = server.stop().await {
                tracing::warn!(%error, "a server that could not be set up is not gone");
            }
            return Err(StartError::probe(error));
        }
        Ok(server)
    }

    /// Where the server is. The database is the URL's, and none for a server of ours.
    #[must_use]
    pub fn config(&self) -> &ConnectionConfig {
        &self.config
    }

    /// How to connect to it.
    #[must_use]
    pub fn options(&self) -> &ConnectionOptions {
        &self.options
    }

    /// Which provider it came from.
    #[must_use]
    pub fn kind(&self) -> ProviderKind {
        match self.backing {
            Backing::Url => ProviderKind::Url,
            Backing::Container(_) => ProviderKind::Container,
            Backing::Embedded(_) => ProviderKind::Embedded,
        }
    }

    /// What `SELECT VERSION()` answers, such as `8.0.11-TiDB-v8.5.4`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.identity.version
    }

    /// Which server it is.
    #[must_use]
    pub fn product(&self) -> Product {
        Product::of_version(self.version())
    }

    /// Where it came from, what it is and its version: `embedded TiDB 8.0.11-TiDB-v8.5.4`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {} {}", self.kind(), self.product().name(), self.version())
    }

    /// TiDB's version without its suffix, so that `>=8.5` also holds for a build between two
    /// releases; none if the server is not TiDB.
    #[must_use]
    pub fn tidb_version(&self) -> Option<semver::Version> {
        tidb_version(&self.identity.version)
    }

    /// What keeps its data.
    #[must_use]
    pub fn store(&self) -> StoreEngine {
        self.identity.store()
    }

    /// Held by whoever makes or drops databases and tables for a trial, where taking turns is faster: the
    /// store inside tidb-server runs schema changes one after another, and those that are sent at once get
    /// into each other's way. (Eight at once took ten times as long as the same ones in turn.)
    #[must_use]
    pub(crate) fn schema_changes(&self) -> Option<Arc<Mutex<()>>> {
        match self.store() {
            StoreEngine::Unistore | StoreEngine::Mocktikv => Some(Arc::clone(&self.schema_changes)),
            StoreEngine::Tikv | StoreEngine::Other(_) => None,
        }
    }

    /// The last lines of the server's log, long ones cut; none for a URL.
    pub async fn log_tail(&self, lines: usize) -> Option<String> {
        match &self.backing {
            Backing::Url => None,
            Backing::Container(running) => running.log_tail(lines).await,
            Backing::Embedded(line) => Some(lifeline::tail(&line.log().await, lines)),
        }
    }

    /// Whether the process or the container still runs; for a URL whether a new session answers.
    pub async fn is_alive(&self) -> bool {
        match &self.backing {
            Backing::Url => probe::identify(&self.config, &self.options).await.is_ok(),
            Backing::Container(running) => running.is_running().await,
            Backing::Embedded(line) => line.exit_code().is_none(),
        }
    }

    /// The process id of an embedded server.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.backing {
            Backing::Embedded(line) => Some(line.pid()),
            Backing::Url | Backing::Container(_) => None,
        }
    }

    /// The id of the server's container.
    #[must_use]
    pub fn container_id(&self) -> Option<&str> {
        match &self.backing {
            Backing::Container(running) => running.id(),
            Backing::Url | Backing::Embedded(_) => None,
        }
    }

    /// The directory of an embedded server, where all of its files are.
    #[must_use]
    pub fn run_dir(&self) -> Option<&std::path::Path> {
        match &self.backing {
            Backing::Embedded(line) => Some(line.dir()),
            Backing::Url | Backing::Container(_) => None,
        }
    }

    /// Ends a server of ours and waits until its process or container, and its files, are gone.
    ///
    /// # Errors
    /// [`StopError`] if something is perhaps left.
    pub async fn stop(self) -> Result<(), StopError> {
        match self.backing {
            Backing::Url => Ok(()),
            Backing::Container(running) => running
                .end()
                .await
                .map_err(|error| StopError::Container(Box::new(error))),
            Backing::Embedded(line) => (*line).end().await.map_err(StopError::Process),
        }
    }
}

/// `8.0.11-TiDB-v8.5.4-suffix` is 8.5.4.
fn tidb_version(version: &str) -> Option<semver::Version> {
    let (_, release) = version.split_once("-TiDB-")?;
    plain_version(release.strip_prefix('v').unwrap_or(release))
}

/// Three numbers, whatever comes after them.
fn plain_version(text: &str) -> Option<semver::Version> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    semver::Version::parse(&text[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_other_servers_are_none() {
        assert_eq!(tidb_version("8.0.36"), None);
        assert_eq!(tidb_version("11.4.2-MariaDB"), None);
        assert_eq!(tidb_version("8.0.11-TiDB-None"), None);
    }

    #[test]
    fn a_suffix_does_not_make_a_version_older() {
        let want = semver::Version::new(8, 5, 4);
        for text in [
            "8.0.11-TiDB-v8.5.4",
            "8.0.11-TiDB-v8.5.4-e4e814f",
            "5.7.25-TiDB-v8.5.4-serverless",
        ] {
            assert_eq!(tidb_version(text), Some(want.clone()), "{text}");
        }
        let at_least = semver::VersionReq::parse(">=8.5").unwrap();
        assert!(at_least.matches(&tidb_version("8.0.11-TiDB-v9.0.0-beta.2").unwrap()));
    }

    #[test]
    fn a_spec_that_can_not_be_met_is_refused_before_anything_starts() {
        let pair = |name: &str| vec![(name.to_owned(), "1".to_owned())];
        let flags = |name| ServerSpec {
            flags: pair(name),
            ..ServerSpec::default()
        };
        let vars = |name| ServerSpec {
            vars: pair(name),
            ..ServerSpec::default()
        };
        let embedded = ProviderKind::Embedded;
        for name in ["P", "path", "", "-x", "a b"] {
            assert!(
                matches!(flags(name).check(embedded), Err(StartError::Flag { .. })),
                "{name}"
            );
        }
        assert!(matches!(
            vars("a; drop").check(embedded),
            Err(StartError::Variable { .. })
        ));
        assert!(matches!(
            flags("lease").check(ProviderKind::Url),
            Err(StartError::NotOurs)
        ));
        assert!(vars("tidb_enable_ddl").check(embedded).is_ok());
        assert!(flags("lease").check(embedded).is_ok());
    }
}
