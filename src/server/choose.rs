//! Which provider to take, and why.

use super::build::{Cache, RELEASE, RELEASE_VERSION, Target};
use super::probe::StoreEngine;
use super::{ProviderKind, ServerSettings, container};

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The provider.
    pub kind: ProviderKind,
    /// One line for people: what was taken, and why the ones before it were not.
    pub line: String,
}

/// No provider can give a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no TiDB to run against ({})
three ways to get one:
  - a TiDB that runs: TIDB_URL=mysql://user:password@host:4000/
  - a container engine (Docker) that has or can pull {image}; TIDB_IMAGE names another image, and `tidb-scenarios image` builds one where nothing can be pulled
  - Go in PATH: TiDB {RELEASE} is built on first use and started as a process",
    .reasons.join("; ")
)]
pub struct NoServer {
    /// One for each provider that was tried, in order.
    pub reasons: Vec<String>,
    /// The image that was looked for.
    image: String,
}

/// Takes what `TIDB_PROVIDER` insists on; without it the URL if there is one, else a container if an
/// engine answers and has or can pull the image, else the embedded server. Starts nothing, but may
/// pull.
///
/// # Errors
/// [`NoServer`] with the reason for each provider.
pub async fn choose(settings: &ServerSettings) -> Result<Choice, NoServer> {
    let (order, insists): (&[ProviderKind], bool) = match &settings.provider {
        Some(kind) => (std::slice::from_ref(kind), true),
        None => (
            &[ProviderKind::Url, ProviderKind::Container, ProviderKind::Embedded],
            false,
        ),
    };
    let mut reasons = Vec::new();
    for kind in order.iter().copied() {
        match available(settings, kind).await {
            Ok(what) => {
                let why = match (insists, reasons.is_empty()) {
                    (true, _) => format!(" (TIDB_PROVIDER={kind})"),
                    (false, true) => String::new(),
                    (false, false) => format!(" ({})", reasons.join("; ")),
                };
                return Ok(Choice {
                    kind,
                    line: format!("server: {what}{why}"),
                });
            }
            // With a URL that is wrong nobody wants another server.
            Err(reason) if kind == ProviderKind::Url && settings.url.is_some() => {
                reasons.push(reason);
                break;
            }
            Err(reason) => reasons.push(reason),
        }
    }
    Err(NoServer {
        reasons,
        image: settings.image.clone(),
    })
}

/// Whether a provider can give a server, and which one; otherwise why not.
async fn available(settings: &ServerSettings, kind: ProviderKind) -> Result<String, String> {
    match kind {
        ProviderKind::Url if settings.url.is_none() => Err("no TIDB_URL".to_owned()),
        ProviderKind::Url => match settings.url_target() {
            Ok(target) => Ok(target.to_string()),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                Err(format!("{error}: {}", cause.unwrap_or_default()))
            }
        },
        ProviderKind::Container => {
            let have = async {
                let engine = container::engine().await?;
                container::have_image(&engine, &settings.image, settings.progress).await
            };
            match have.await {
                Ok(()) => Ok(format!("container {}", settings.image)),
                Err(reason) => Err(format!("container: {reason}")),
            }
        }
        ProviderKind::Embedded => {
            let check = async {
                Cache::open(settings.cache_dir.as_deref(), Target::HOST)?
                    .check()
                    .await
            };
            match check.await {
                Ok(()) => Ok(format!("embedded TiDB {RELEASE}")),
                Err(error) => Err(format!("embedded: {error}")),
            }
        }
    }
}

/// What is known of a server before it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What keeps its data.
    pub store: Option<StoreEngine>,
    /// Its TiDB version, without a suffix.
    pub version: Option<semver::Version>,
}

/// What `requires` can be judged by without starting anything: all of an embedded server, the store
/// of a container (and its version if the image's tag is one), nothing of a URL.
#[must_use]
pub fn known_before_start(settings: &ServerSettings, kind: ProviderKind) -> Known {
    match kind {
        ProviderKind::Url => Known {
            store: None,
            version: None,
        },
        ProviderKind::Container => {
            let (_, tag) = container::split_reference(&settings.image);
            let version = tag.strip_prefix('v').and_then(super::plain_version);
            Known {
                store: Some(StoreEngine::Unistore),
                version,
            }
        }
        ProviderKind::Embedded => Known {
            store: Some(StoreEngine::Unistore),
            version: Some(RELEASE_VERSION),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_server_says_the_three_ways() {
        let reasons = vec![
            "no TIDB_URL".to_owned(),
            "container: no Docker engine answers".to_owned(),
        ];
        let text = NoServer {
            reasons,
            image: "pingcap/tidb:v8.5.4".to_owned(),
        }
        .to_string();
        for part in [
            "(no TIDB_URL; container: no Docker",
            "TIDB_URL=mysql://",
            "TIDB_IMAGE",
            "Go in PATH",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }

    #[tokio::test]
    async fn an_url_is_taken_and_its_password_is_not_shown() {
        let settings = ServerSettings {
            url: Some("mysql://me:s3cret@db:4001/".to_owned()),
            ..ServerSettings::default()
        };
        let choice = choose(&settings).await.unwrap();
        assert_eq!(choice.kind, ProviderKind::Url);
        assert_eq!(choice.line, "server: mysql://me@db:4001");
    }

    #[tokio::test]
    async fn an_url_that_is_wrong_is_no_reason_to_take_another_server() {
        let settings = ServerSettings {
            url: Some("mysql://:s3cret@/".to_owned()),
            ..ServerSettings::default()
        };
        let error = choose(&settings).await.unwrap_err();
        assert_eq!(error.reasons.len(), 1);
        assert!(
            error
                .to_string()
                .contains("TIDB_URL cannot be used: it is no URL"),
            "{error}"
        );
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn known_before_start_is_only_what_is_certain() {
        let known = |image: &str, kind| {
            let settings = ServerSettings {
                image: image.to_owned(),
                ..ServerSettings::default()
            };
            known_before_start(&settings, kind)
        };
        let version = |image: &str| known(image, ProviderKind::Container).version;
        assert_eq!(
            version("pingcap/tidb:v7.1.0"),
            Some(semver::Version::new(7, 1, 0))
        );
        assert_eq!(version("tidb:local"), None);
        assert_eq!(known("", ProviderKind::Embedded).version, Some(RELEASE_VERSION));
        assert_eq!(
            known("", ProviderKind::Url),
            Known {
                store: None,
                version: None
            }
        );
    }
}
