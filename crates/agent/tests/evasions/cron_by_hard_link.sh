#!/bin/sh
# A job of cron is written elsewhere and linked into place
# kind: K5
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d
    control
}

control() {
    echo x >/srv/note
}

evade() {
    echo x >/srv/note
    ln /srv/note /etc/cron.d/job
}

"$@"
