#!/bin/sh
# A folder with a job of cron is mounted in the place of cron's
# kind: K5
# finds: Cron Job Planted, behaviour.write, behaviour.mount
# options: --cap-add SYS_ADMIN --security-opt apparmor=unconfined

learn() {
    mkdir -p /etc/cron.d /srv/a /srv/b
    echo x >/srv/a/job
    control
}

control() {
    mount -o bind /srv/a /srv/b
}

evade() {
    mount -o bind /srv/a /etc/cron.d
}

"$@"
