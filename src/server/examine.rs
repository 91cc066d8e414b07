//! What there is to run on, for whoever asks why a provider is not taken. Starts, builds and pulls nothing.

use std::path::PathBuf;

use super::build::{Cache, RELEASE, Target, go_version};
use super::{ProviderKind, ServerSettings, container, probe};

/// What there is.
#[derive(Debug)]
pub struct Examination {
    /// Each provider in the order of choice: what it would give, or why it cannot.
    pub providers: Vec<(ProviderKind, Result<String, String>)>,
    /// The folder of built servers, or why there is none.
    pub cache: Result<PathBuf, String>,
    /// The built servers of this version.
    pub built: Option<PathBuf>,
    /// The version of Go.
    pub go: Result<String, String>,
}

/// Looks at what there is.
pub async fn examine(settings: &ServerSettings) -> Examination {
    let go = go_version().await.map_err(|error| error.to_string());
    let cache = Cache::open(settings.cache_dir.as_deref(), Target::HOST);
    let built = cache.as_ref().ok().and_then(Cache::any_binary);
    let embedded = match (&cache, &built, &go) {
        (Err(error), ..) => Err(error.to_string()),
        (Ok(_), Some(_), _) => Ok(format!("TiDB {RELEASE}, built")),
        (Ok(_), None, Ok(go)) => Ok(format!(
            "TiDB {RELEASE}, not built yet: the first run builds it with {go} (5 to 10 minutes)"
        )),
        (Ok(_), None, Err(error)) => Err(error.clone()),
    };
    Examination {
        providers: vec![
            (ProviderKind::Url, url(settings).await),
            (ProviderKind::Container, engine(settings).await),
            (ProviderKind::Embedded, embedded),
        ],
        cache: cache
            .map(|cache| cache.folder().to_owned())
            .map_err(|error| error.to_string()),
        built,
        go,
    }
}

async fn url(settings: &ServerSettings) -> Result<String, String> {
    if settings.url.is_none() {
        return Err("TIDB_URL is not set".to_owned());
    }
    let target = settings.url_target().map_err(|error| error.to_string())?;
    match probe::identify(&target.config, &target.options).await {
        Ok(identity) => Ok(format!("{target} answers: {}", identity.version)),
        Err(error) => Err(format!("{target} does not answer: {error}")),
    }
}

async fn engine(settings: &ServerSettings) -> Result<String, String> {
    let engine = container::engine().await?;
    let version = container::engine_version(&engine).await.unwrap_or_default();
    Ok(if container::is_image_there(&engine, &settings.image).await? {
        format!("engine {version}; {} is there", settings.image)
    } else {
        format!(
            "engine {version}; {} is not there: a run would pull it",
            settings.image
        )
    })
}
