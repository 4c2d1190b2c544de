#!/bin/sh
# A job of cron is written by a link that stands for a file that is not there yet
# kind: K5
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d
    ln -s /srv/note /srv/out
    control
}

control() {
    echo x >/srv/out
}

evade() {
    ln -sf /etc/cron.d/job /srv/out
    echo x >/srv/out
}

"$@"
