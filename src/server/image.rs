//! The local image, for machines that can't pull: the embedded server in a container image.

use testcontainers::GenericBuildableImage;
use testcontainers::TestcontainersError;
use testcontainers::runners::AsyncBuilder as _;

use super::ServerSettings;
use super::build::{BuildError, Cache, RELEASE, Target};
use super::container::{engine, split_reference};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No engine to build it with.
    #[error("{reason}, so no image can be built")]
    NoEngine {
        /// Why there is none.
        reason: String,
    },
    /// Not a name that an image can be given.
    #[error("an image cannot be built as `{given}`; give a name and a tag, such as `tidb:local`")]
    Name {
        /// The name.
        given: String,
    },
    /// The server could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The engine failed.
    #[error("the engine cannot build the image")]
    Engine(#[source] Box<TestcontainersError>),
}

/// Builds an image with the embedded server that can stand in for `pingcap/tidb`: the same entry
/// point and ports. Tells its name, tag included.
///
/// # Errors
/// [`ImageError`] if no engine answers, or the server or the image can't be built.
pub async fn build_image(settings: &ServerSettings, tag: &str) -> Result<String, ImageError> {
    if tag.is_empty() || tag.contains('@') || tag.chars().any(char::is_whitespace) {
        return Err(ImageError::Name {
            given: tag.to_owned(),
        });
    }
    let engine = engine().await.map_err(|reason| ImageError::NoEngine { reason })?;
    let version = engine.version().await;
    // Engines name processors as Go does, which they are written in.
    let arch = version.ok().and_then(|version| version.arch);
    let arch = arch.as_deref().unwrap_or(Target::HOST.arch);
    let cache = Cache::open(settings.cache_dir.as_deref(), Target { os: "linux", arch })?;
    let binary = cache.binary(settings.progress).await?;
    let (name, tag) = split_reference(tag);
    let task = settings
        .progress
        .begin(format!("building the image {name}:{tag}"));
    // WORKDIR makes the directory: TiDB needs a /tmp, and nothing else.
    let dockerfile = format!(
        "FROM scratch\n\
         LABEL org.tidb-scenarios.release={RELEASE}\n\
         WORKDIR /tmp\n\
         WORKDIR /\n\
         COPY tidb-server /tidb-server\n\
         EXPOSE 4000 10080\n\
         ENTRYPOINT [\"/tidb-server\"]\n"
    );
    let _image = GenericBuildableImage::new(name, tag)
        .with_dockerfile_string(dockerfile)
        .with_file(binary, "tidb-server")
        .build_image()
        .await
        .map_err(|error| ImageError::Engine(Box::new(error)))?;
    task.done();
    Ok(format!("{name}:{tag}"))
}
