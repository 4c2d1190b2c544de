//! Services of the host, by the paths of their cgroups.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

/// Cgroups whose service is remembered; what comes beyond counts as the host's, and takes the name of none that is known.
const MAX_CGROUPS: usize = 65_536;
/// Names; beyond, those of cgroups that are gone are forgotten.
const MAX_NAMES: usize = 2 * MAX_CGROUPS;
/// How the host is called where no service says more.
const HOST: &str = "host";

/// Which service each cgroup of the host belongs to.
#[derive(Debug, Default)]
pub struct Services {
    by_cgroup: FxHashMap<u64, Arc<str>>,
    names: FxHashMap<Box<str>, Arc<str>>,
}

impl Services {
    /// There is a cgroup.
    pub fn on_cgroup(&mut self, id: u64, path: &str) {
        if self.by_cgroup.len() >= MAX_CGROUPS && !self.by_cgroup.contains_key(&id) {
            return;
        }
        if self.names.len() >= MAX_NAMES {
            self.names.retain(|_, name| Arc::strong_count(name) > 1);
        }
        let name = service_of(path);
        let name = match self.names.get(&*name) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(self.names.entry(name.clone().into()).or_insert_with(|| name.into())),
        };
        self.by_cgroup.insert(id, name);
    }

    /// These cgroups are there; all that are, where that is `whole`.
    pub fn on_walk(&mut self, found: &[(u64, String)], whole: bool) {
        // Some may be gone whose removal was lost.
        if whole && self.by_cgroup.len() >= MAX_CGROUPS {
            let there: FxHashSet<u64> = found.iter().map(|(id, _)| *id).collect();
            self.by_cgroup.retain(|id, _| there.contains(id));
        }
        found.iter().for_each(|(id, path)| self.on_cgroup(*id, path));
    }

    /// It is gone.
    pub fn on_removed(&mut self, id: u64) {
        self.by_cgroup.remove(&id);
    }

    /// The service that a cgroup belongs to.
    pub fn of(&self, cgroup: u64) -> Arc<str> {
        self.by_cgroup.get(&cgroup).map_or_else(|| HOST.into(), Arc::clone)
    }
}

/// The innermost unit of systemd on the path, without what distinguishes its instances; else the outermost cgroup.
fn service_of(path: &str) -> String {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let unit = parts.clone().rev().find(|part| part.ends_with(".service") || part.ends_with(".scope"));
    let Some(unit) = unit.or_else(|| parts.next()) else { return HOST.to_owned() };
    let Some((name, kind)) = unit.rsplit_once('.') else { return unit.to_owned() };
    let name = match name.split_once('@') {
        Some((template, _)) => format!("{template}@"),
        None => name.trim_end_matches(|c: char| c.is_ascii_digit() || "-_c".contains(c)).to_owned(),
    };
    if name.is_empty() { unit.to_owned() } else { format!("{name}.{kind}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_and_sessions_of_one_unit_are_one_service() {
        for (path, service) in [
            ("/", "host"),
            ("/system.slice/nginx.service", "nginx.service"),
            ("/system.slice/system-getty.slice/getty@tty1.service", "getty@.service"),
            ("/system.slice/docker.service/inner", "docker.service"),
            ("/user.slice/user-1000.slice/session-3.scope", "session.scope"),
            ("/user.slice/user-1000.slice/session-c2.scope", "session.scope"),
            ("/user.slice/user-0.slice/user@0.service/app.slice/foo.service", "foo.service"),
            ("/init.scope", "init.scope"),
            ("/custom/group", "custom"),
            ("/123.scope", "123.scope"),
        ] {
            assert_eq!(service_of(path), service, "{path}");
        }
    }

    #[test]
    fn a_cgroup_that_is_not_known_is_the_hosts() {
        let mut services = Services::default();
        services.on_cgroup(7, "/system.slice/nginx.service");
        assert_eq!((&*services.of(7), &*services.of(8)), ("nginx.service", "host"));
        services.on_removed(7);
        assert_eq!(&*services.of(7), "host");
    }

    #[test]
    fn many_cgroups_take_the_name_of_none() {
        let mut services = Services::default();
        services.on_cgroup(7, "/system.slice/nginx.service");
        for id in 10..200_000 {
            services.on_cgroup(id, &format!("/x{id}"));
            assert!(services.by_cgroup.len() <= MAX_CGROUPS && services.names.len() <= MAX_NAMES);
        }
        assert_eq!((&*services.of(7), &*services.of(10), &*services.of(199_999)), ("nginx.service", "x10", "host"));
        // Those that are gone make room, also where nothing told that they are.
        let system = [(7, "/system.slice/nginx.service".to_owned()), (9, "/system.slice/web.service".to_owned())];
        services.on_walk(&system, false);
        assert_eq!(&*services.of(9), "host", "there may be more");
        services.on_walk(&system, true);
        assert_eq!((&*services.of(7), &*services.of(9)), ("nginx.service", "web.service"));
        (200_000..400_000).for_each(|id| {
            services.on_cgroup(id, &format!("/x{id}"));
            services.on_removed(id);
        });
        services.on_cgroup(8, "/system.slice/db.service");
        assert_eq!((&*services.of(7), &*services.of(8)), ("nginx.service", "db.service"));
        assert!(services.names.len() <= MAX_NAMES);
    }
}
