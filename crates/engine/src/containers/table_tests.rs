#![allow(clippy::unwrap_used, clippy::panic)]

use ethogram_model::Image;

use super::*;
use crate::{containers::runtime::Runtime, share::Share};

const SECOND: u64 = 1_000_000_000;
const HOST: Origin = Origin { owner: 0, maker: 0 };
const USER: Origin = Origin { owner: 1000, maker: 0 };

fn id(n: u64) -> String {
    format!("{n:064x}")
}

fn docker_path(n: u64) -> String {
    format!("/docker/{}", id(n))
}

fn info(id: &str, namespace: Option<&str>, name: &str) -> RuntimeContainer {
    RuntimeContainer {
        runtime: if namespace.is_some() { Runtime::Containerd } else { Runtime::Docker },
        namespace: namespace.map(str::to_owned),
        id: id.into(),
        name: name.into(),
        image: Some(Image { name: "web:1".into(), digest: "sha256:11".into() }),
        command: vec!["/bin/web".into()],
        labels: Default::default(),
        pod: None,
        sandbox: false,
        privileged: None,
        mounts: Vec::new(),
        started_ns: None,
        users: None,
        cgroup: None,
        pid: None,
    }
}

fn found(table: &mut ContainerTable, cgroup_id: u64) -> Arc<Container> {
    match table.lookup(cgroup_id) {
        Lookup::Container(container) => container,
        other => panic!("{cgroup_id} is {other:?}"),
    }
}

#[test]
fn a_container_is_known_from_its_cgroup_on_and_named_later() {
    let mut table = ContainerTable::default();
    assert_eq!(table.on_cgroup_created(9, "/docker", HOST, 0), None);
    let arrival = table.on_cgroup_created(10, &docker_path(1), HOST, 0).unwrap();
    let request = arrival.request.unwrap();
    assert_eq!((request.id.as_str(), request.hint, &request.candidate_in), (id(1).as_str(), Runtime::Docker, &None));
    let bare = found(&mut table, 10);
    assert_eq!(arrival.container.unwrap(), bare);
    assert_eq!((bare.cgroup_id, bare.runtime.as_str(), &bare.name), (10, "docker", &None));
    assert_eq!(table.lookup(9), Lookup::Host);

    let change = table.on_runtime(info(&id(1), None, "web")).unwrap();
    assert!(!change.is_new);
    let named = found(&mut table, 10);
    assert_eq!((named.name.as_deref(), named.cgroup_id, named.is_resolved()), (Some("web"), 10, true));
    assert_eq!(table.on_runtime(info(&id(1), None, "web")), None, "nothing new");
    assert!(table.on_runtime(info(&id(1), None, "renamed")).is_some());
    assert_eq!(table.containers().count(), 1);
    assert_eq!(table.counters().containers_seen, 1);
}

#[test]
fn nested_cgroups_are_the_outermost_containers() {
    let mut table = ContainerTable::default();
    table.on_cgroup_created(10, &docker_path(1), HOST, 0);
    assert_eq!(table.on_cgroup_created(11, &format!("{}/docker/{}", docker_path(1), id(2)), HOST, 0), None);
    assert_eq!(found(&mut table, 11).id, id(1));
    assert_eq!(found(&mut table, 11).cgroup_id, 10);
    assert_eq!(table.on_cgroup_removed(11, 1), None, "the container is still there");
    assert_eq!(table.on_cgroup_removed(10, 1).unwrap().id, id(1));
}

#[test]
fn a_nested_cgroup_seen_first_waits_for_the_outermost() {
    let mut table = ContainerTable::default();
    let nested = format!("{}/init", docker_path(1));
    assert!(table.on_cgroup_created(11, &nested, HOST, 0).unwrap().container.is_some());
    assert_eq!(found(&mut table, 11).id, id(1));
    table.on_cgroup_created(10, &docker_path(1), HOST, 0);
    assert_eq!(found(&mut table, 11).cgroup_id, 10);
    assert_eq!(found(&mut table, 10), found(&mut table, 11));
    assert_eq!(table.counters().containers_seen, 1);
}

#[test]
fn a_removed_cgroup_resolves_for_the_time_of_grace_only() {
    let mut table = ContainerTable::default();
    table.on_cgroup_created(9, "/docker", HOST, 0);
    table.on_cgroup_created(10, &docker_path(1), HOST, 0);
    assert!(table.on_cgroup_removed(10, SECOND).is_some());
    assert_eq!(table.on_cgroup_removed(10, SECOND), None, "reported twice");
    assert_eq!(table.on_cgroup_removed(77, SECOND), None, "never seen");
    assert_eq!(table.containers().count(), 0);
    table.expire(5 * SECOND);
    assert_eq!(found(&mut table, 10).id, id(1));
    table.expire(6 * SECOND);
    assert_eq!(table.lookup(10), Lookup::Unknown);
    assert_eq!(table.lookup(9), Lookup::Host);
    assert_eq!((table.cgroups.len(), table.containers.len(), table.by_name.len()), (1, 0, 0));
    assert_eq!(table.counters().unknown_lookups, 1);
}

#[test]
fn a_restarted_container_has_a_new_cgroup_and_keeps_its_name() {
    let mut table = ContainerTable::default();
    table.on_cgroup_created(10, &docker_path(1), HOST, 0);
    table.on_runtime(info(&id(1), None, "web"));
    table.on_cgroup_removed(10, SECOND);
    let arrival = table.on_cgroup_created(12, &docker_path(1), HOST, 2 * SECOND).unwrap();
    assert!(arrival.request.is_some(), "its files are others by now");
    assert_eq!(found(&mut table, 12).name.as_deref(), Some("web"));
    assert_eq!((found(&mut table, 10).cgroup_id, found(&mut table, 12).cgroup_id), (10, 12));
    table.expire(20 * SECOND);
    table.on_runtime(info(&id(1), None, "renamed"));
    assert_eq!(found(&mut table, 12).name.as_deref(), Some("renamed"));
    assert_eq!(table.containers().count(), 1);
}

#[test]
fn an_id_that_the_kernel_gives_again_is_the_new_cgroups() {
    let mut table = ContainerTable::default();
    table.on_cgroup_created(10, &docker_path(1), HOST, 0);
    table.on_cgroup_removed(10, SECOND);
    table.on_cgroup_created(10, "/system.slice", HOST, 2 * SECOND);
    assert_eq!(table.lookup(10), Lookup::Host);
    table.expire(100 * SECOND);
    assert_eq!(table.lookup(10), Lookup::Host, "the old one's end is not the new one's");
    // Also where the removal went unseen.
    table.on_cgroup_created(10, &docker_path(2), HOST, 101 * SECOND);
    assert_eq!(found(&mut table, 10).id, id(2));
}

#[test]
fn a_candidate_is_unknown_until_containerd_spoke() {
    let mut table = ContainerTable::default();
    let arrival = table.on_cgroup_created(10, "/default/web", HOST, 0).unwrap();
    assert_eq!(arrival.container, None);
    let request = arrival.request.unwrap();
    assert_eq!(request.candidate_in.as_deref(), Some("default"));
    table.on_cgroup_created(11, "/default/web/nested", HOST, 0);
    assert_eq!((table.lookup(10), table.lookup(11)), (Lookup::Unknown, Lookup::Unknown));
    assert_eq!(table.containers().count(), 0);

    table.on_resolution(Resolution::Unknown(request));
    assert_eq!((table.lookup(10), table.lookup(11)), (Lookup::Host, Lookup::Host));
    assert_eq!(table.on_runtime(info("web", Some("other"), "web")), None, "another namespace's");
    assert_eq!(table.lookup(10), Lookup::Host);

    let change = table.on_runtime(info("web", Some("default"), "web")).unwrap();
    assert!(change.is_new);
    assert_eq!(found(&mut table, 11), change.container);
    assert_eq!((change.container.id.as_str(), change.container.cgroup_id), ("web", 10));
}

#[test]
fn a_candidates_id_may_be_anothers_later() {
    let mut table = ContainerTable::default();
    table.on_cgroup_created(10, "/default/web", HOST, 0);
    table.on_runtime(info("web", Some("default"), "web"));
    table.on_cgroup_removed(10, SECOND);
    let arrival = table.on_cgroup_created(11, "/default/web", HOST, 2 * SECOND).unwrap();
    assert_eq!(arrival.container, None);
    assert!(arrival.request.is_some());
    assert_eq!(table.lookup(11), Lookup::Unknown);
}

#[test]
fn a_certain_container_stays_one_whatever_the_runtimes_say() {
    let mut table = ContainerTable::default();
    let request = table.on_cgroup_created(10, &docker_path(1), HOST, 0).unwrap().request.unwrap();
    table.on_unknown(&request);
    assert_eq!(found(&mut table, 10).id, id(1));
}

#[test]
fn what_a_runtime_tells_before_the_cgroup_comes_is_kept() {
    let mut table = ContainerTable::default();
    for n in 0..1000 {
        assert_eq!(table.on_runtime(info(&id(n), None, "early")), None);
    }
    assert_eq!(table.early.len(), ContainerTable::MAX_EARLY);
    let arrival = table.on_cgroup_created(10, &docker_path(999), HOST, 0).unwrap();
    assert_eq!((arrival.request.is_some(), arrival.container.unwrap().name.as_deref()), (true, Some("early")));
    assert!(table.on_cgroup_created(11, &docker_path(1), HOST, 0).unwrap().request.is_some(), "too long ago");
}

#[test]
fn a_walk_makes_up_for_lost_events_and_leaves_newer_ones_alone() {
    let mut table = ContainerTable::default();
    table.on_cgroup_created(10, &docker_path(1), HOST, SECOND);
    table.on_cgroup_created(12, &docker_path(3), HOST, 3 * SECOND);
    let mut walk = Walk { cgroups: vec![(1, "/".into()), (11, docker_path(2))], ..Walk::default() };
    let arrivals = table.on_walk(&walk, 2 * SECOND, 4 * SECOND);
    assert_eq!(arrivals.len(), 1);
    let mut alive: Vec<u64> = table.containers().map(|c| c.cgroup_id).collect();
    alive.sort_unstable();
    assert_eq!(alive, [11, 12]);
    assert_eq!(table.lookup(1), Lookup::Host);
    assert!(table.on_walk(&walk, 2 * SECOND, 4 * SECOND).is_empty(), "the same again");
    walk.cgroups.clear();
    walk.cut = true;
    table.on_walk(&walk, 9 * SECOND, 9 * SECOND);
    assert_eq!(table.containers().count(), 2, "a walk that was cut removes nothing");
}

#[test]
fn the_table_is_bounded_and_counts_what_it_cannot_keep() {
    let mut table = ContainerTable::new(Limits { cgroups: 3, containers: 2, grace_ns: 5 * SECOND });
    for n in 0..3 {
        table.on_cgroup_created(10 + n, &docker_path(n), HOST, 0);
    }
    assert_eq!(table.counters().refused, 1);
    assert_eq!(table.lookup(12), Lookup::Unknown);
    assert_eq!(table.take_crowded(), BTreeMap::from([(Share::Below("/docker".into()), 1)]));
    table.on_cgroup_created(20, "/a", HOST, 0);
    table.on_cgroup_created(21, "/b", HOST, 0);
    assert_eq!((table.cgroups.len(), table.counters().refused), (3, 2));
    table.on_cgroup_removed(10, SECOND);
    assert!(table.on_cgroup_created(13, &docker_path(3), HOST, SECOND).is_some());
    assert_eq!((table.counters().evicted, table.cgroups.len(), table.containers.len()), (1, 3, 2));
}

#[test]
fn names_made_by_a_user_leave_room_for_the_hosts_containers() {
    let limits = Limits { cgroups: 100, containers: 50, grace_ns: 5 * SECOND };
    for origin in [USER, Origin { owner: 0, maker: 7 }] {
        let mut table = ContainerTable::new(limits);
        table.on_cgroup_created(1, &docker_path(9_999), HOST, 0);
        table.on_runtime(info(&id(9_999), None, "before"));
        for n in 0..500 {
            table.on_cgroup_created(100 + n, &format!("/user.slice/x{n}/docker-{}.scope", id(n)), origin, 0);
            table.on_cgroup_created(10_000 + n, &format!("/user.slice/x{n}/plain"), origin, 0);
        }
        for n in 0..30 {
            assert!(table.on_cgroup_created(5_000 + n, &docker_path(1_000 + n), HOST, SECOND).is_some());
            assert!(table.on_runtime(info(&id(1_000 + n), None, "web")).is_some(), "{n}");
        }
        assert_eq!(table.containers().count(), 31);
        assert_eq!(found(&mut table, 1).name.as_deref(), Some("before"));
        assert_eq!(table.take_crowded().keys().collect::<Vec<_>>(), [&origin.share().unwrap()]);
    }
}

#[test]
fn many_names_below_one_cgroup_leave_room_for_others() {
    let mut table = ContainerTable::new(Limits { cgroups: 100, containers: 50, grace_ns: 5 * SECOND });
    for n in 0..500 {
        table.on_cgroup_created(100 + n, &format!("/t/docker-{}.scope", id(n)), HOST, 0);
    }
    table.on_cgroup_created(1, &docker_path(9_999), HOST, 0);
    assert_eq!(found(&mut table, 1).id, id(9_999));
    assert_eq!(table.take_crowded().keys().collect::<Vec<_>>(), [&Share::Below("/t".into())]);
}

#[test]
fn ten_thousand_containers_fit() {
    let mut table = ContainerTable::default();
    for n in 0..10_000 {
        table.on_cgroup_created(2 * n, &docker_path(n), HOST, 0);
        table.on_cgroup_created(2 * n + 1, &format!("{}/init", docker_path(n)), HOST, 0);
        table.on_runtime(info(&id(n), None, "web"));
    }
    assert_eq!((table.containers().count(), table.counters().refused), (10_000, 0));
}

#[test]
fn a_users_directory_with_a_containers_name_is_not_that_container() {
    let fake = format!("/user.slice/user-1000.slice/user@1000.service/docker-{}.scope", id(1));
    let at = |path: &str| RuntimeContainer { cgroup: Some(path.into()), ..info(&id(1), None, "web") };
    for real_first in [true, false] {
        let mut table = ContainerTable::default();
        if real_first {
            table.on_cgroup_created(10, &docker_path(1), HOST, 0);
            table.on_runtime(at(&docker_path(1)));
        }
        let arrival = table.on_cgroup_created(20, &fake, USER, 0).unwrap();
        assert_eq!((arrival.container, table.lookup(20)), (None, Lookup::Unknown), "it has to be confirmed");
        assert!(arrival.request.unwrap().is_foreign());
        if !real_first {
            table.on_runtime(at(&docker_path(1)));
            table.on_cgroup_created(10, &docker_path(1), HOST, 0);
        }
        table.on_runtime(at(&docker_path(1)));
        table.on_cgroup_created(21, &format!("{fake}/nested"), USER, 0);
        for cgroup in [20, 21] {
            let other = found(&mut table, cgroup);
            assert_eq!((other.id.as_str(), other.runtime.as_str(), &other.image), ("cgroup-20", "unknown", &None));
            assert_eq!(other.labels.get("cgroup.path"), Some(&fake));
        }
        assert_eq!((found(&mut table, 10).id.as_str(), found(&mut table, 10).name.as_deref()), (&*id(1), Some("web")));
        assert!(table.on_runtime(RuntimeContainer { name: "renamed".into(), ..at(&docker_path(1)) }).is_some());
        assert_eq!(found(&mut table, 10).name.as_deref(), Some("renamed"));
        table.on_cgroup_removed(20, SECOND);
        assert_eq!(found(&mut table, 10).name.as_deref(), Some("renamed"));
    }
}

#[test]
fn a_users_own_container_is_one_once_its_runtime_says_where_it_is() {
    let path = format!("/user.slice/user-1000.slice/user@1000.service/docker-{}.scope", id(1));
    let mut table = ContainerTable::default();
    let request = table.on_cgroup_created(20, &path, USER, 0).unwrap().request.unwrap();
    table.on_unknown(&request);
    assert_eq!(found(&mut table, 20).id, "cgroup-20", "no runtime that we ask knows it");
    assert_eq!(table.on_runtime(info(&id(1), None, "web")), None, "it does not say where");
    let there = RuntimeContainer { cgroup: Some(format!("{path}/init")), ..info(&id(1), None, "web") };
    assert!(table.on_runtime(there).unwrap().is_new);
    assert_eq!((found(&mut table, 20).id.as_str(), found(&mut table, 20).name.as_deref()), (&*id(1), Some("web")));
}

#[test]
fn an_id_in_the_cgroup_of_a_service_is_the_hosts_until_a_runtime_has_it() {
    for origin in [HOST, USER] {
        let mut table = ContainerTable::default();
        let path = format!("/egfoo.service/{}", id(7));
        let request = table.on_cgroup_created(10, &path, origin, 0).unwrap().request.unwrap();
        assert_eq!(table.lookup(10), Lookup::Unknown);
        table.on_unknown(&request);
        assert_eq!(table.lookup(10), Lookup::Host);
        table.on_runtime(RuntimeContainer { cgroup: Some(path), ..info(&id(7), None, "web") });
        assert_eq!(found(&mut table, 10).id, id(7));
    }
}

#[test]
fn a_container_whose_first_process_has_moved_away_keeps_its_name() {
    let mut table = ContainerTable::default();
    table.on_cgroup_created(10, &docker_path(1), HOST, 0);
    table.on_runtime(RuntimeContainer { cgroup: Some("/".into()), ..info(&id(1), None, "web") });
    assert_eq!(found(&mut table, 10).name.as_deref(), Some("web"));
}

#[test]
fn churn_leaves_nothing_behind() {
    let mut table = ContainerTable::default();
    for n in 0..10_000 {
        let now = n * SECOND;
        table.on_cgroup_created(2 * n, &docker_path(n), HOST, now);
        table.on_cgroup_created(2 * n + 1, &format!("{}/x", docker_path(n)), HOST, now);
        table.on_cgroup_removed(2 * n + 1, now);
        table.on_cgroup_removed(2 * n, now);
    }
    table.expire(20_000 * SECOND);
    assert_eq!((table.cgroups.len(), table.containers.len(), table.by_name.len(), table.leaving.len()), (0, 0, 0, 0));
}

#[test]
fn users_that_are_made_later_have_their_names() {
    let mut table = ContainerTable::default();
    table.on_cgroup_created(10, &docker_path(1), HOST, 0);
    table.on_runtime(info(&id(1), None, "web"));
    let users = Arc::new(Users { users: BTreeMap::from([(4242, "neo".to_owned())]), ..Users::default() });
    let news = |path: String| Resolution::Users { cgroup: path, users: Arc::clone(&users) };
    assert_eq!(table.on_resolution(news(docker_path(2))), None, "another container's");
    assert!(table.on_resolution(news(docker_path(1))).is_some_and(|change| !change.is_new));
    assert_eq!(table.on_resolution(news(docker_path(1))), None, "nothing new");
    assert_eq!(found(&mut table, 10).users.as_ref().unwrap().users.get(&4242).map(String::as_str), Some("neo"));
    assert_eq!(found(&mut table, 10).name.as_deref(), Some("web"));
}
