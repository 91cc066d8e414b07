//! The server in a container, and how it ends.

use std::time::{Duration, Instant};

use testcontainers::bollard::query_parameters::ListContainersOptionsBuilder;
use testcontainers::core::client::docker_client_instance;
use tidb_scenarios::server::{
    CONTAINER_LABEL, ProviderKind, Server, ServerSettings, ServerSpec, StartError, StoreEngine, build_image,
};

use crate::common::*;
use crate::owner::*;

pub async fn containers_of_ours() -> Vec<String> {
    let filters = std::collections::HashMap::from([("label", vec![CONTAINER_LABEL.to_owned()])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    let engine = docker_client_instance().await.unwrap();
    let found = engine.list_containers(Some(options)).await.unwrap();
    // Other processes may have theirs.
    let ours = found
        .into_iter()
        .filter(|container| container.image.as_deref() == Some(IMAGE));
    ours.filter_map(|container| container.id).collect()
}

pub async fn no_container_is_left(limit: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let left = containers_of_ours().await;
        if left.is_empty() {
            return began.elapsed();
        }
        assert!(began.elapsed() < limit, "left after {limit:?}: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One trial, so that what is left is this trial's.
pub fn container_whole() {
    let settings = ServerSettings {
        image: IMAGE.to_owned(),
        ..quiet()
    };
    runtime().block_on(async {
        let began = Instant::now();
        assert_eq!(build_image(&settings, IMAGE).await.unwrap(), IMAGE);
        println!("image: built in {:?}", began.elapsed());

        let began = Instant::now();
        let server = Server::start(&settings, ProviderKind::Container, &ServerSpec::default())
            .await
            .unwrap();
        println!("container: started in {:?}", began.elapsed());
        assert_eq!(server.tidb_version(), Some(semver::Version::new(8, 5, 4)));
        assert_eq!(server.store(), StoreEngine::Unistore);
        assert_eq!(ask(&server, "select 7").await, "7");
        assert!(server.is_alive().await && server.log_tail(5).await.is_some());
        assert_eq!(containers_of_ours().await, [server.container_id().unwrap()]);
        let began = Instant::now();
        server.stop().await.unwrap();
        println!("container: stopped in {:?}", began.elapsed());
        assert!(containers_of_ours().await.is_empty());

        let flags = vec![("no-such-flag".to_owned(), "1".to_owned())];
        let spec = ServerSpec {
            flags,
            ..ServerSpec::default()
        };
        let error = Server::start(&settings, ProviderKind::Container, &spec)
            .await
            .unwrap_err();
        assert!(matches!(error, StartError::Ended { code: 2, .. }), "{error:?}");
        assert!(
            error.to_string().contains("not defined: -no-such-flag"),
            "{error}"
        );
        assert!(containers_of_ours().await.is_empty());

        let server = Server::start(&settings, ProviderKind::Container, &ServerSpec::default())
            .await
            .unwrap();
        drop(server);
        no_container_is_left(Duration::from_secs(20)).await;
    });
    // A server that is dropped where no runtime is.
    let server = runtime()
        .block_on(Server::start(
            &settings,
            ProviderKind::Container,
            &ServerSpec::default(),
        ))
        .unwrap();
    drop(server);
    runtime().block_on(no_container_is_left(Duration::from_secs(20)));

    for signal in ["-KILL", "-INT"] {
        let mut owner = Owner::start("container", &[("TIDB_IMAGE", IMAGE)]);
        owner.up();
        owner.end(signal);
        let took = runtime().block_on(no_container_is_left(Duration::from_secs(20)));
        println!("container {signal}: none was left after {took:?}");
        owner.nothing_is_left(Duration::from_secs(20));
    }
    for after_ms in [20, 40, 60, 80, 100, 130, 160, 200, 250, 300, 400, 600] {
        let mut owner = Owner::start("container", &[("TIDB_IMAGE", IMAGE)]);
        std::thread::sleep(Duration::from_millis(after_ms));
        owner.end("-KILL");
        // The reaper ends when nothing can come any more.
        owner.nothing_is_left(Duration::from_secs(40));
        assert!(
            runtime().block_on(containers_of_ours()).is_empty(),
            "{after_ms} ms"
        );
    }
}
