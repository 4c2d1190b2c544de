#!/bin/sh
# A job of cron is written by a mapping, without a call that writes
# kind: K5
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d
    control
}

control() {
    /act/act map /srv/note
}

evade() {
    /act/act map /etc/cron.d/job
}

"$@"
