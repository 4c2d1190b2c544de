#!/bin/sh
# A folder with a job of cron is moved into place
# kind: K5
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /srv/cron.d
    echo x >/srv/cron.d/job
    control
}

control() {
    mv /srv/cron.d /srv/jobs
    mv /srv/jobs /srv/cron.d
}

evade() {
    mv /srv/cron.d /etc/cron.d
}

"$@"
