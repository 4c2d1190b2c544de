#!/bin/sh
# A job of cron is planted after another program was
# kind: K7
# finds: Cron Job Planted
# times: 2

learn() {
    mkdir -p /etc/cron.d
    control
}

control() {
    echo x >/srv/note
}

evade() {
    echo x >/etc/cron.d/one
    /act/act write /etc/cron.d/two
}

"$@"
