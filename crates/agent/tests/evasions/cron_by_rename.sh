#!/bin/sh
# A job of cron is written elsewhere and moved into place
# kind: K5
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d
    control
}

control() {
    echo x >/srv/note
    mv /srv/note /srv/note2
}

evade() {
    echo x >/srv/note
    mv /srv/note /etc/cron.d/job
}

"$@"
