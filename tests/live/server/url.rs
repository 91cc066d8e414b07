//! A server that somebody else runs.

use tidb_scenarios::server::{
    ProviderKind, Server, ServerSettings, ServerSpec, StartError, Store, StoreEngine, choose,
};

use crate::common::*;

pub fn url_reaches_a_server_and_leaves_it() {
    runtime().block_on(async {
        let owned = Server::start(&quiet(), ProviderKind::Embedded, &ServerSpec::default())
            .await
            .unwrap();
        ask(&owned, "create user me identified by 's3@ret'").await;
        let url = format!("mysql://me:s3%40ret@127.0.0.1:{}/", owned.config().port);
        let settings = ServerSettings {
            url: Some(url),
            ..quiet()
        };
        let choice = choose(&settings).await.unwrap();
        assert!(
            choice.line.starts_with("server: mysql://me@127.0.0.1:"),
            "{}",
            choice.line
        );
        let server = Server::start(&settings, choice.kind, &ServerSpec::default())
            .await
            .unwrap();
        assert_eq!(server.version(), owned.version());
        assert_eq!(server.store(), StoreEngine::Unistore);
        assert!(server.is_alive().await && server.log_tail(5).await.is_none());
        assert!(!format!("{server:?}").contains("s3@ret"));
        let files = ServerSpec {
            store: Store::Persistent,
            ..ServerSpec::default()
        };
        let error = Server::start(&settings, choice.kind, &files).await.unwrap_err();
        assert!(matches!(error, StartError::NotOurs));
        server.stop().await.unwrap();
        assert!(owned.is_alive().await);
        assert_eq!(ask(&owned, "select 7").await, "7");

        let wrong = format!("mysql://me:wr0ng@127.0.0.1:{}/", owned.config().port);
        let settings = ServerSettings {
            url: Some(wrong),
            ..quiet()
        };
        let error = Server::start(&settings, ProviderKind::Url, &ServerSpec::default())
            .await
            .unwrap_err();
        let said = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(said.contains("1045") && !said.contains("wr0ng"), "{said}");
        owned.stop().await.unwrap();
    });
}
