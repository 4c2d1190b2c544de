#!/bin/sh
# A job of cron is written without a name, which it gets afterwards
# kind: K5
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d
    # Older kernels have no such files on an overlay.
    control 2>/srv/why && return
    grep -q "not supported" /srv/why && exit 77
    cat /srv/why >&2
    exit 1
}

control() {
    /act/act nameless /srv "/srv/note$$"
}

evade() {
    /act/act nameless /etc/cron.d /etc/cron.d/job
}

"$@"
