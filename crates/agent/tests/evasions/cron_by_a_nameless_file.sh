#!/bin/sh
# A job of cron is written without a name, which it gets afterwards
# kind: K5
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d
    control
}

control() {
    /act/act nameless /srv "/srv/note$$"
}

evade() {
    /act/act nameless /etc/cron.d /etc/cron.d/job
}

"$@"
