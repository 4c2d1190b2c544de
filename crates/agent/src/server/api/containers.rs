//! The containers there are.

use std::{collections::BTreeSet, fs, sync::Arc};

use ethogram_engine::FoundProcess;
use ethogram_model::Container;

use crate::{
    api::{AlertFilter, Answer, ContainerDetails, ContainerProcess, Containers, Profiles, Responses},
    container::hierarchy::Hierarchy,
    pipeline::found,
    refusal::Refusal,
    server::backend::Server,
};

impl Containers for Server {
    async fn containers(&self) -> Answer<Vec<Arc<Container>>> {
        let list = self.control.ask(|e| e.containers().cloned().collect::<Vec<_>>()).await;
        let mut list = list.map_err(|_| Refusal::Gone)?;
        list.sort_by(|a, b| (a.display_name(), &a.id).cmp(&(b.display_name(), &b.id)));
        Ok(list)
    }

    async fn container(&self, id: String) -> Answer<ContainerDetails> {
        let all = self.containers().await?;
        let container = Arc::clone(find(&all, &id)?);
        let only = AlertFilter { container: Some(container.id.clone()), ..AlertFilter::default() };
        let alerts = self.ask_outlet(move |outlet| outlet.alerts.count(&only)).await?;
        let of = Arc::clone(&container);
        let profile = match self.ask(move |judge| judge.detector.model.profile_of(&of)).await? {
            Some(uid) => self.profiles().await?.into_iter().find(|profile| profile.id == uid),
            None => None,
        };
        let is_its = |id: &Option<String>| id.as_deref() == Some(&*container.id);
        let mut responses = self.responses(usize::MAX).await?;
        responses.retain(|response| response.is_active() && is_its(&response.target.container_id));
        self.blocking(move |server| {
            let (cgroup, processes) = running(&server.hierarchy, &container);
            let frozen = cgroup.as_deref().is_some_and(|path| is_frozen(&server.hierarchy, path));
            let container = Container::clone(&container);
            Ok(ContainerDetails { container, cgroup, frozen, profile, alerts, responses, processes })
        })
        .await
    }
}

/// The one that is meant: whose name or id it is, or whose id alone begins so.
fn find<'a>(all: &'a [Arc<Container>], id: &str) -> Result<&'a Arc<Container>, Refusal> {
    let called: Vec<_> = all.iter().filter(|c| c.id == id || c.name.as_deref() == Some(id)).collect();
    let meant = if called.is_empty() { all.iter().filter(|c| c.answers_to(id)).collect() } else { called };
    match &meant[..] {
        [only] => Ok(only),
        [] => {
            let names: BTreeSet<&str> = all.iter().map(|c| c.display_name()).collect();
            Err(Refusal::unknown("container", id, names))
        }
        several => {
            let several: Vec<String> = several.iter().take(8).map(|c| described(c)).collect();
            let what = format!("several containers answer to {id:?}: give an id of {}", several.join(", "));
            Err(Refusal::Conflict(what))
        }
    }
}

fn described(container: &Container) -> String {
    match &container.name {
        Some(name) => format!("{} ({name})", container.short_id()),
        None => container.short_id().to_owned(),
    }
}

/// The path of a container's cgroup, and the processes in that and below.
fn running(hierarchy: &Hierarchy, container: &Container) -> (Option<String>, Vec<ContainerProcess>) {
    let cgroups = hierarchy.walk().map(|walk| walk.cgroups).unwrap_or_default();
    let Some((_, own)) = cgroups.iter().find(|(id, _)| *id == container.cgroup_id) else { return (None, Vec::new()) };
    let below = |path: &str| path.strip_prefix(&**own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let its: BTreeSet<u64> = cgroups.iter().filter(|(_, path)| below(path)).map(|(id, _)| *id).collect();
    let user = |id| container.users.as_ref().and_then(|users| users.users.get(&id).cloned());
    let shown = |mut found: FoundProcess| {
        found.mask();
        let FoundProcess { process, exec, .. } = found;
        ContainerProcess {
            pid: process.pid,
            namespace_pid: process.namespace_pid,
            parent_pid: process.parent_pid,
            user_id: process.user_id,
            user: user(process.user_id),
            executable: exec.path,
            args: exec.args,
        }
    };
    let processes = found(hierarchy).into_iter().filter(|p| its.contains(&p.cgroup)).map(shown).collect();
    (Some(own.clone()), processes)
}

/// Whether the processes of a cgroup are frozen, by whomever.
fn is_frozen(hierarchy: &Hierarchy, cgroup: &str) -> bool {
    let says = |root: &std::path::Path, file: &str, what: &str| {
        let path = root.join(cgroup.trim_start_matches('/')).join(file);
        fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line == what))
    };
    says(&hierarchy.root, "cgroup.events", "frozen 1")
        || Hierarchy::mounted(Some("freezer")).is_some_and(|root| says(&root, "freezer.state", "FROZEN"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn container(id: &str, name: Option<&str>) -> Arc<Container> {
        Arc::new(Container { id: id.into(), name: name.map(Into::into), ..Container::default() })
    }

    #[test]
    fn a_container_is_found_by_its_name_its_id_or_a_start_that_no_other_has() {
        let all = [
            container("abcd1111", Some("web")),
            container("abcd2222", Some("db")),
            container("eeee3333", None),
            container("ffff4444", Some("web")),
            container("0000", Some("eeee")),
        ];
        let found = |id: &str| find(&all, id).map(|c| c.id.clone()).map_err(|e| e.to_string());
        assert_eq!(found("db").unwrap(), "abcd2222");
        assert_eq!(found("abcd1111").unwrap(), "abcd1111");
        assert_eq!(found("abcd2").unwrap(), "abcd2222");
        assert_eq!(found("eeee3").unwrap(), "eeee3333");
        assert_eq!(found("eeee").unwrap(), "0000", "a name goes before the start of an id");
        let told = "several containers answer to \"abcd\": give an id of abcd1111 (web), abcd2222 (db)";
        assert_eq!(found("abcd").unwrap_err(), told);
        assert!(found("web").unwrap_err().contains("abcd1111 (web), ffff4444 (web)"));
        assert!(found("abc").unwrap_err().starts_with("no container is called \"abc\""));
        assert!(found("webb").unwrap_err().ends_with("did you mean web?"));
    }
}
