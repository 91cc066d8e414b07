//! What a trial needs of its server, and whether it is there: otherwise the trial is ignored, with the reason.

use crate::plan::TrialPlan;
use crate::server::{Known, ProviderKind, Server, ServerSettings, StoreEngine, known_before_start};

pub(super) const NO_ENGINE: &str = "needs a container engine, and none answers";
const NO_OWN_SERVER: &str = "needs a server of its own, which TIDB_URL cannot give";

/// What can be told of the server while listing, when nothing may be started: the provider that is insisted
/// on, or those that may be taken.
#[derive(Debug)]
pub(super) struct Foreseen {
    servers: Vec<(ProviderKind, Known)>,
    has_engine: bool,
}

impl Foreseen {
    pub fn new(settings: &ServerSettings, has_engine: bool) -> Self {
        let kinds = match settings.provider {
            Some(kind) => vec![kind],
            None if settings.url.is_some() => vec![ProviderKind::Url],
            None => vec![ProviderKind::Container, ProviderKind::Embedded],
        };
        let known = |kind| (kind, known_before_start(settings, kind));
        Self {
            servers: kinds.into_iter().map(known).collect(),
            has_engine,
        }
    }

    /// Whether the trial would run, as far as can be told before a server is asked.
    pub fn in_words(&self, plan: &TrialPlan) -> String {
        if plan.requires.docker && !self.has_engine {
            return format!("ignored: {NO_ENGINE}");
        }
        let mut reasons: Vec<String> = Vec::new();
        for (kind, known) in &self.servers {
            let reason = if !plan.servers.is_empty() && *kind == ProviderKind::Url {
                Some(NO_OWN_SERVER.to_owned())
            } else {
                unmet(plan, known)
            };
            match reason {
                Some(reason) => reasons.push(format!("{kind}: {reason}")),
                None => {
                    let is_asked = !plan.requires.vars.is_empty()
                        || (plan.requires.tidb.is_some() && known.version.is_none())
                        || (plan.requires.store.is_some() && known.store.is_none());
                    return if is_asked {
                        format!("runs if the server has it ({kind})")
                    } else {
                        format!("runs ({kind})")
                    };
                }
            }
        }
        format!("ignored: {}", reasons.join("; "))
    }

    /// Whether no server that may be taken has what the trial needs.
    pub fn is_ignored(&self, plan: &TrialPlan) -> bool {
        if plan.requires.docker && !self.has_engine {
            return true;
        }
        self.servers.iter().all(|(kind, known)| {
            let own = !plan.servers.is_empty() && *kind == ProviderKind::Url;
            own || unmet(plan, known).is_some()
        })
    }
}

/// What the trial needs and this server does not have.
pub(super) async fn missing(plan: &TrialPlan, server: &Server) -> Option<String> {
    if !plan.servers.is_empty() && server.kind() == ProviderKind::Url {
        return Some(NO_OWN_SERVER.to_owned());
    }
    if let (Some(range), None) = (&plan.requires.tidb, server.tidb_version()) {
        return Some(format!(
            "needs TiDB {}, this is {}",
            range.value,
            server.version()
        ));
    }
    let product = server.product();
    for own in &plan.connections {
        if let Some((name, value)) = product.lacks(&own.vars) {
            return Some(format!(
                "needs TiDB, since `{}` sets {name} = {value}; this is {}",
                own.name,
                server.title()
            ));
        }
    }
    let known = Known {
        store: Some(server.store()),
        version: server.tidb_version(),
    };
    if let Some(reason) = unmet(plan, &known) {
        return Some(reason);
    }
    for (name, node) in &plan.requires.vars {
        let wanted = node.text().unwrap_or_default().to_string();
        let actual = crate::run::global_variable(server, &name.value)
            .await
            .unwrap_or_default();
        if !same_setting(&wanted, &actual) {
            return Some(format!("needs {} = {wanted}, it is {actual}", name.value));
        }
    }
    None
}

/// What is known not to be met; what is not known counts as met.
fn unmet(plan: &TrialPlan, known: &Known) -> Option<String> {
    if let (Some(range), Some(version)) = (&plan.requires.tidb, &known.version)
        && !range.value.matches(version)
    {
        return Some(format!("needs TiDB {}, this is {version}", range.value));
    }
    if let (Some(wanted), Some(store)) = (&plan.requires.store, &known.store) {
        let fits = match store {
            StoreEngine::Tikv => wanted.value == "tikv",
            StoreEngine::Unistore => wanted.value == "unistore",
            StoreEngine::Mocktikv | StoreEngine::Other(_) => false,
        };
        if !fits {
            return Some(format!("needs the store {}, this is {store}", wanted.value));
        }
    }
    None
}

/// Whether two values of a variable are the same: ON, 1 and true are.
fn same_setting(wanted: &str, actual: &str) -> bool {
    let plain = |text: &str| match text.to_ascii_lowercase().as_str() {
        "on" | "true" => "1".to_owned(),
        "off" | "false" => "0".to_owned(),
        other => other.to_owned(),
    };
    plain(wanted) == plain(actual)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{PlanInput, plan};
    use crate::source::SourceFile;

    fn trial(requires: &str) -> TrialPlan {
        let text = format!("scenario: s\nconnections: [a]\nsteps: [a: select 1]\nrequires: {requires}\n");
        let file = Arc::new(SourceFile::new("s.yaml", text));
        let mut planned = plan(file, &PlanInput::default());
        assert!(!planned.is_broken(), "{:?}", planned.problems);
        planned.trials.remove(0)
    }

    fn is_ignored(requires: &str, settings: &ServerSettings) -> bool {
        Foreseen::new(settings, false).is_ignored(&trial(requires))
    }

    #[test]
    fn what_no_server_here_can_have_is_told_while_listing() {
        let own = ServerSettings::default();
        assert!(is_ignored("{store: tikv}", &own));
        assert!(is_ignored("{tidb: \">=99\"}", &own));
        assert!(is_ignored("{docker: true}", &own));
        assert!(!is_ignored("{store: unistore, tidb: \">=8.5\"}", &own));
        // Perhaps the container is taken, and the version of this image is not known.
        let local = ServerSettings {
            image: "tidb:local".to_owned(),
            ..ServerSettings::default()
        };
        assert!(!is_ignored("{tidb: \">=99\"}", &local));
    }

    #[test]
    fn a_server_behind_a_url_tells_only_when_it_is_asked() {
        let url = ServerSettings {
            url: Some("mysql://127.0.0.1/".to_owned()),
            ..ServerSettings::default()
        };
        assert!(!is_ignored("{store: tikv}", &url));
        assert!(!is_ignored("{tidb: \">=99\"}", &url));
    }
}
