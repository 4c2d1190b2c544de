use std::{fs, os::unix::fs::MetadataExt};

use crate::tests::*;

#[test]
fn a_cgroup_is_known_with_its_id_from_creation_to_removal() {
    let Some(root) = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].iter().find(|r| fs::exists(format!("{r}/cgroup.procs")).unwrap()) else {
        panic!("no cgroup v2 hierarchy is mounted");
    };
    let mut rig = Rig::start("cgroup");
    let name = format!("ethogram-test-{}", std::process::id());
    let path = format!("{root}/{name}");
    fs::create_dir(&path).unwrap();
    let id = fs::metadata(&path).unwrap().ino();
    let shell = Shell::waiting("exit 0");
    let pid = shell.pid();
    let entered = fs::write(format!("{path}/cgroup.procs"), pid.to_string());
    shell.go();
    fs::remove_dir(&path).unwrap();
    entered.unwrap();
    let create = rig.expect("create", |e| is(e, "create") && number(e, "cgroup.id") == id);
    assert!(text(&create, "cgroup.path").ends_with(&name));
    let attach = rig.expect("attach", |e| is(e, "attach") && number(e, "cgroup.process.pid") == u64::from(pid));
    assert_eq!((number(&attach, "cgroup.id"), number(&attach, "cgroup.owner.id")), (id, 0));
    for field in ["cgroup.process.left", "cgroup.process.entered"] {
        assert!(!attach.get(field).is_truthy(), "{field}");
    }
    rig.expect("remove", |e| is(e, "remove") && number(e, "cgroup.id") == id);
}
