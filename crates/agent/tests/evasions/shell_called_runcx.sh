#!/bin/sh
# A program that is called like a runtime plants a job of cron
# kind: K1
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d
    control
}

control() {
    /act/act write /srv/note
}

evade() {
    ln -s /act/act /srv/runcx
    /srv/runcx run /srv/runcx write /etc/cron.d/j
}

"$@"
