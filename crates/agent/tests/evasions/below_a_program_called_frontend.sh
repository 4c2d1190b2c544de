#!/bin/sh
# What a program called like an installer's front end runs plants a job of cron
# kind: K1
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d
    ln -s /act/act /srv/frontend
    control
}

control() {
    /srv/frontend run sh -c "echo x >/srv/note"
}

evade() {
    /srv/frontend run sh -c "echo x >/etc/cron.d/job"
}

"$@"
