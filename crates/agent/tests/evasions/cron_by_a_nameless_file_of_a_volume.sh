#!/bin/sh
# A job of cron is written without a name, which it gets afterwards, in a volume
# kind: K5
# finds: Cron Job Planted, behaviour.write
# options: --volume /etc/cron.d --volume /opt/v

learn() {
    control
}

control() {
    /act/act nameless /opt/v "/opt/v/note$$"
}

evade() {
    /act/act nameless /etc/cron.d /etc/cron.d/job
}

"$@"
