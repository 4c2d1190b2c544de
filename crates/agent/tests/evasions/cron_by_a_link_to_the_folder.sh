#!/bin/sh
# A job of cron is written by a link to its folder
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
    ln -s /etc/cron.d /srv/jobs
    echo x >/srv/jobs/job
}

"$@"
