#!/bin/sh
# A folder with a job of cron is mounted in the place of cron's
# kind: K5
# finds: Cron Job Planted, behaviour.write, behaviour.mount
# options: --cap-add SYS_ADMIN --security-opt apparmor=unconfined

learn() {
    mkdir -p /etc/cron.d /srv/a /srv/b /srv/c
    echo x >/srv/a/job
    mount -o bind /srv/a /srv/b
}

control() {
    mount -o bind /srv/a /srv/b
    # What covers cron's folder elsewhere does not cover it where it is.
    mount -o bind /etc/cron.d /srv/c
    mount -o bind /srv/a /srv/c
    mount -o remount,bind,ro /srv/c
    mount --make-private /srv/b
}

evade() {
    mount -o bind /srv/a /etc/cron.d
}

"$@"
