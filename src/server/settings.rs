//! What the caller wants of a server, handed down as a value.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::progress::Progress;
use super::url::{UrlError, UrlTarget};

/// The image that the container provider runs, unless `TIDB_IMAGE` names another.
pub const DEFAULT_IMAGE: &str = "pingcap/tidb:v8.5.4";

/// Where a server comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// A TiDB that runs already, named by `TIDB_URL`. It is never started, stopped or configured.
    Url,
    /// A container of our own, from an image.
    Container,
    /// A process of our own, built from the pinned Go module on first use.
    Embedded,
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "url",
            Self::Container => "container",
            Self::Embedded => "embedded",
        })
    }
}

impl FromStr for ProviderKind {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "url" => Ok(Self::Url),
            "container" => Ok(Self::Container),
            "embedded" => Ok(Self::Embedded),
            other => Err(SettingsError::Provider {
                given: other.to_owned(),
            }),
        }
    }
}

/// What the caller wants of a server.
#[derive(Clone)]
pub struct ServerSettings {
    /// Insists on one provider.
    pub provider: Option<ProviderKind>,
    /// `mysql://user:password@host:port/…` of a TiDB that runs already. Never printed.
    pub url: Option<String>,
    /// The CA (a PEM file) that signed the certificate of the server behind [`Self::url`].
    pub ca: Option<PathBuf>,
    /// The image of the container provider.
    pub image: String,
    /// Where built servers are kept; the user's cache directory if it is not given.
    pub cache_dir: Option<PathBuf>,
    /// The limit for a server's start, from its process to its first answer. Building and pulling
    /// do not count.
    pub start_max: Duration,
    /// Our own executable, which is run again to remove our containers when this process dies.
    /// Its `main` must call [`super::run_reaper_if_asked`] first. Without it a container outlives a
    /// process that was killed.
    pub reaper: Option<PathBuf>,
    /// How building and pulling are shown.
    pub progress: Progress,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            provider: None,
            url: None,
            ca: None,
            image: DEFAULT_IMAGE.to_owned(),
            cache_dir: None,
            start_max: Duration::from_mins(1),
            reaper: None,
            progress: Progress::Stderr,
        }
    }
}

impl fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSettings")
            .field("provider", &self.provider)
            .field("url", &self.url.as_ref().map(|_| "<redacted>"))
            .field("ca", &self.ca)
            .field("image", &self.image)
            .field("cache_dir", &self.cache_dir)
            .field("start_max", &self.start_max)
            .field("reaper", &self.reaper)
            .field("progress", &self.progress)
            .finish()
    }
}

impl ServerSettings {
    /// Reads `TIDB_PROVIDER`, `TIDB_URL`, `TIDB_URL_CA`, `TIDB_IMAGE` and `TIDB_SCENARIOS_CACHE`
    /// through `get`. A variable that is set to nothing counts as not set.
    ///
    /// # Errors
    /// [`SettingsError`] for a value that makes no sense, before anything is started.
    pub fn from_vars(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let mut settings = Self::default();
        if let Some(text) = get("TIDB_PROVIDER") {
            settings.provider = Some(text.parse()?);
        }
        settings.url = get("TIDB_URL");
        settings.ca = get("TIDB_URL_CA").map(PathBuf::from);
        if let Some(image) = get("TIDB_IMAGE") {
            if image.chars().any(char::is_whitespace) {
                return Err(SettingsError::Image { given: image });
            }
            settings.image = image;
        }
        settings.cache_dir = get("TIDB_SCENARIOS_CACHE").map(PathBuf::from);
        if settings.url.is_some() {
            settings.url_target()?;
        } else if settings.provider == Some(ProviderKind::Url) {
            return Err(SettingsError::UrlMissing);
        }
        Ok(settings)
    }

    /// What the URL says.
    pub(super) fn url_target(&self) -> Result<UrlTarget, SettingsError> {
        let url = self.url.as_deref().ok_or(SettingsError::UrlMissing)?;
        UrlTarget::parse(url, self.ca.as_deref()).map_err(SettingsError::Url)
    }
}

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// `TIDB_PROVIDER` is not one of the three.
    #[error("TIDB_PROVIDER is `{given}`; it must be `url`, `container` or `embedded`")]
    Provider {
        /// What it was.
        given: String,
    },
    /// `TIDB_PROVIDER` insists on an URL, and there is none.
    #[error("TIDB_PROVIDER is `url`, but TIDB_URL is not set")]
    UrlMissing,
    /// `TIDB_URL` can't be used.
    #[error("TIDB_URL cannot be used")]
    Url(#[source] UrlError),
    /// `TIDB_IMAGE` is no image name.
    #[error("TIDB_IMAGE is `{given}`; an image name such as `{DEFAULT_IMAGE}` has no blanks")]
    Image {
        /// What it was.
        given: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<ServerSettings, SettingsError> {
        ServerSettings::from_vars(|name| {
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_wrong_provider_is_named() {
        let error = of(&[("TIDB_PROVIDER", "docker")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "TIDB_PROVIDER is `docker`; it must be `url`, `container` or `embedded`"
        );
    }

    #[test]
    fn url_without_an_url_is_refused() {
        assert_eq!(
            of(&[("TIDB_PROVIDER", "url")]).unwrap_err(),
            SettingsError::UrlMissing
        );
    }

    #[test]
    fn a_bad_url_is_refused_before_anything_starts() {
        assert!(matches!(
            of(&[("TIDB_URL", "localhost:4000")]),
            Err(SettingsError::Url(_))
        ));
    }

    #[test]
    fn an_image_with_blanks_is_refused() {
        assert!(matches!(
            of(&[("TIDB_IMAGE", "a b")]),
            Err(SettingsError::Image { .. })
        ));
    }

    #[test]
    fn nothing_set_is_the_default_and_empty_is_not_set() {
        let settings = of(&[("TIDB_PROVIDER", ""), ("TIDB_URL", "")]).unwrap();
        assert_eq!(settings.provider, None);
        assert_eq!(settings.url, None);
        assert_eq!(settings.image, DEFAULT_IMAGE);
    }

    #[test]
    fn debug_does_not_show_the_password() {
        let settings = of(&[("TIDB_URL", "mysql://root:s3cret@localhost/")]).unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
