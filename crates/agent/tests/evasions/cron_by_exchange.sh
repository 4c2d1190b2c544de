#!/bin/sh
# The folder of cron's jobs changes places with another, which has a job
# kind: K5
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d /srv/jobs /srv/other
    echo x >/srv/jobs/job
    control
}

control() {
    /act/act exchange /srv/jobs /srv/other
    /act/act exchange /srv/jobs /srv/other
}

evade() {
    /act/act exchange /srv/jobs /etc/cron.d
}

"$@"
