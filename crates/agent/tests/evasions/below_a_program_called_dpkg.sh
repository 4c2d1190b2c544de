#!/bin/sh
# A program that is called like an installer runs one that plants a job of cron
# kind: K1
# finds: Cron Job Planted, behaviour.write

learn() {
    mkdir -p /etc/cron.d
    ln -s /act/act /srv/dpkg
    control
}

control() {
    /srv/dpkg run sh -c "echo x >/srv/note"
}

evade() {
    /srv/dpkg run sh -c "echo x >/etc/cron.d/job"
}

"$@"
