#!/bin/sh
# A known script gets other lines, and is run as before
# kind: K5
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo "/act/act read /etc/passwd" >/srv/job
    control
}

control() {
    sh /srv/job
}

evade() {
    echo "/act/act read /srv/one.key" >/srv/job
    sh /srv/job
}

"$@"
