use proptest::prelude::*;

use super::*;

fn tree(paths: impl IntoIterator<Item = String>) -> PathTree {
    let mut tree = PathTree::default();
    for path in paths {
        match tree.get_mut(&path) {
            Some(seen) => seen.add(Seen::at(1)),
            None => tree.insert(&path, Seen::at(1)),
        }
    }
    tree
}

/// A name without a number.
fn letter(i: u32) -> String {
    char::from_u32('a' as u32 + i % 26).unwrap().to_string().repeat(1 + i as usize / 26)
}

#[test]
fn what_differs_in_numbers_only_is_one() {
    let mut t = tree(["/data/temp-24.rdb".into(), "/data/dump.rdb".into()]);
    assert!(t.get("/data/temp-25.rdb").is_some() && t.get("/data/temp-25.sh").is_none());
    t.get_mut("/data/temp-25.rdb").unwrap().add(Seen::at(1));
    assert_eq!(names(&t), ["/data/dump.rdb", "/data/temp-<n>.rdb"]);
    assert_eq!((t.len(), t.patterns()[1].1.count), (2, 2));
    assert!(t.get_mut("/data/temp-1.rdb").is_some());
}

#[test]
fn a_pattern_takes_in_what_it_covers() {
    let t = tree(["/data/report-aawy4f_m.csv".into(), "/data/report.csv".into(), "/data/report-*.csv".into()]);
    assert_eq!(names(&t), ["/data/report-*.csv", "/data/report.csv"]);
    assert_eq!((t.len(), t.patterns()[0].1.count), (2, 2));
}

fn names(tree: &PathTree) -> Vec<String> {
    tree.patterns().into_iter().map(|(p, _)| p).collect()
}

#[test]
fn many_files_become_any_file() {
    let few = tree((0..16).map(|i| format!("/srv/data/f{}", letter(i))));
    assert_eq!(few.len(), 16);
    let many = tree((0..17).map(|i| format!("/srv/data/f{}", letter(i))).chain(["/srv/other/x".into()]));
    assert_eq!(names(&many), ["/srv/data/*", "/srv/other/x"]);
    assert_eq!(many.patterns()[0].1.count, 17);
}

#[test]
fn temporary_places_give_up_names_early() {
    assert_eq!(names(&tree((0..5).map(|i| format!("/tmp/f{}", letter(i))))), ["/tmp/*"]);
    assert_eq!(names(&tree((0..5).map(|i| format!("/tmp/d{i}/a")))), ["/tmp/*/a"]);
}

#[test]
fn crossroads_never_do() {
    assert_eq!(tree((0..100).map(|i| format!("/f{}", letter(i)))).len(), 100);
    assert_eq!(tree((0..100).map(|i| format!("/var/d{i}/x"))).len(), 100);
}

#[test]
fn directories_become_any_directory_and_keep_what_lies_in_them() {
    let mut t = tree((0..17).flat_map(|i| [format!("/srv/users/u{i}/mail"), format!("/srv/users/u{i}/log")]));
    assert_eq!(names(&t), ["/srv/users/*/log", "/srv/users/*/mail"]);
    assert!(t.get_mut("/srv/users/new/mail").is_some());
    assert!(t.get_mut("/srv/users/new/evil").is_none());
    assert!(t.get_mut("/srv/users/mail").is_none(), "a file is not a directory");
}

#[test]
fn a_directory_of_random_names_holds_those_that_look_ordinary() {
    let mut t = tree(["/srv/cache/<hex>".into(), "/srv/build/*.o".into(), "/srv/build/main.o".into()]);
    for path in ["/srv/cache/1234567a", "/srv/cache/<n>", "/srv/build/ccAbCdef.o"] {
        assert!(t.get_mut(path).is_some(), "{path}");
    }
    for path in ["/srv/cache/payload", "/srv/build/payload.o", "/srv/build/ccAbCdef.so", "/srv/x/1234567a"] {
        assert!(t.get_mut(path).is_none(), "{path}");
    }
}

#[test]
fn in_a_temporary_place_a_random_name_may_look_like_a_word() {
    let mut t = tree(["/tmp/*.s".into(), "/srv/build/*.s".into()]);
    assert!(t.get_mut("/tmp/ccecoptu.s").is_some() && t.get("/tmp/ccecoptu.s").is_some());
    for other in ["/tmp/ccecoptu.sh", "/tmp/x.s", "/tmp/ccecoptu", "/srv/build/ccecoptu.s"] {
        assert!(t.get(other).is_none(), "{other}");
    }
    t.insert("/tmp/ccabcdef.s", Seen::at(1));
    assert_eq!(names(&t), ["/srv/build/*.s", "/tmp/*.s"]);
}

#[test]
fn odd_paths_have_their_place() {
    let odd = ["/", "memfd:x", "…/b/c", "", "a/b", "//"];
    let mut t = tree(odd.map(String::from));
    assert_eq!(t.len(), odd.len());
    for path in odd {
        assert!(t.get_mut(path).is_some(), "{path}");
    }
}

#[test]
fn shrinking_ends() {
    let mut t = tree((0..40).map(|i| format!("/var/lib/d{}/f{}", i % 7, letter(i))));
    let mut before = t.len();
    while t.shrink() {
        assert!(t.len() <= before);
        before = t.len();
    }
    assert_eq!(t.len(), 7);
    assert!(t.get_mut("/var/lib/d3/new").is_some());
    assert!(t.get_mut("/var/lib/new/f1").is_none(), "a crossroads is not given up");
}

proptest! {
    #[test]
    fn holds_what_was_put_in_and_survives_storage(paths in proptest::collection::vec("(/[ab]{0,2}|/tmp|/x[0-9]{2}){1,5}([.]php|[.]so[.]1|[.]txt)?", 1..60)) {
        let mut t = tree(paths.clone());
        let stored = serde_json::to_string(&t).unwrap();
        let mut restored: PathTree = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&restored, &t);
        prop_assert_eq!(t.patterns().len(), t.len());
        for path in &paths {
            prop_assert!(t.get_mut(path).is_some());
            prop_assert!(restored.get_mut(path).is_some());
        }
    }
}
