//! Ordinary work gives no alert that would wake anybody.

use super::stage::{Stage, is_of};
use crate::support::{Container, ticking};

/// Small packages are built and installed with the machine's own tools.
const BUILD: &str = r#"
set -e
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates
touch /var/lib/dpkg/status
mkdir -p /data/hello/debian && cd /data/hello
printf '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n' > hello.c
printf 'hello: hello.c\n\tgcc -o hello hello.c\ntest: hello\n\t./hello\n' > Makefile
printf 'Source: hello\nMaintainer: Test <test@example.com>\n\nPackage: hello\nArchitecture: any\nDescription: says hello\n' \
	> debian/control
printf 'hello (1.0) unstable; urgency=low\n\n  * New.\n\n -- Test <test@example.com>  Mon, 05 Jan 2026 00:00:00 +0000\n' \
	> debian/changelog
cat > debian/rules <<'RULES'
#!/usr/bin/make -f
build:
	$(MAKE) hello test
clean:
	rm -f hello
root := debian/hello
binary:
	mkdir -p $(root)/opt $(root)/DEBIAN
	for folder in cron.d init.d profile.d sudoers.d pam.d systemd/system; do \
		mkdir -p $(root)/etc/$$folder && echo '#' > $(root)/etc/$$folder/hello; done
	install -m 4755 hello $(root)/opt/hello
	printf '#!/bin/sh\nset -e\n/opt/hello\nchmod 4755 /opt/hello\n: >> /etc/passwd\n' > $(root)/DEBIAN/postinst
	chmod 755 $(root)/DEBIAN/postinst
	dpkg-gencontrol -P$(root)
	dpkg-deb --root-owner-group --build $(root) ..
RULES
chmod 755 debian/rules
dpkg-buildpackage --build=binary --no-sign --no-check-builddeps
"#;
const INSTALL: &str = r"
set -e
dpkg --install --force-all /data/hello_1.0_*.deb
/opt/hello
";

#[test]
fn ordinary_work_is_quiet() {
    let stage = Stage::new("ordinary", &[]);
    let web = Container::web("web");
    web.load(200);
    let busy = Container::run("busy", &["sh", "-c", &ticking("job")]);
    busy.restart();
    // Health checks, and somebody who looks in.
    for line in ["nc -z 127.0.0.1 80 || true", "cat /etc/passwd /proc/1/status", "id; uname -a", "ls -la /; env"] {
        assert!(web.sh(line).status.success());
    }
    // An entrypoint that sets things up, a database that writes its files anew, and jobs of the clock.
    stage.play(
        "mkdir -p /srv/db /var/log && echo a > /srv/db/new && mv /srv/db/new /srv/db/data && chmod 600 /srv/db/data",
    );
    stage.play("mkdir -p /etc/app /run/app && echo listen 80 > /etc/app/conf && : >> /proc/sys/net/core/somaxconn");
    stage.play("/act/cron run sh -c 'tar cf /data/backup.tar /srv/db > /var/log/job.log 2>&1; rm -f /var/log/job.log'");
    stage.play("/act/postgres run sh -c 'cp /srv/db/data /data/archive'");
    stage.play("/act/redis-server serve 127.0.0.1 6379 & sleep 0.2; act connect 127.0.0.1 6379; kill %1");
    let tools = ["/usr", "/lib", "/lib64", "/etc/alternatives"].map(|folder| format!("{folder}:{folder}:ro"));
    let mut options = vec!["--env", "PATH=/usr/sbin:/usr/bin:/bin"];
    tools.iter().for_each(|tool| options.extend(["--volume", tool]));
    let build = Container::create("build", &options, &["sleep", "100000"]);
    build.start();
    for line in [BUILD, INSTALL] {
        let done = build.sh(line);
        assert!(done.status.success(), "{done:?}");
    }
    stage.play("/act/xmrig");
    stage.await_alert("Mining Program Run");
    let alerts = stage.server.stored_alerts();
    assert!(alerts.iter().any(|alert| is_of(alert, "Package Installed In Container")), "{alerts:#?}");
    for alert in alerts {
        let rule = &alert["unmapped"]["rule"];
        let is_quiet = matches!(rule["priority"].as_str().unwrap(), "Notice" | "Informational" | "Debug");
        assert!(is_quiet || rule["name"] == "Mining Program Run", "{rule:#}");
    }
}
