#!/bin/sh
# A folder of the host with secrets is mounted at a place of no particular name
# kind: K5
# finds: behaviour.read, Password Hashes Read
# options: --volume /etc:/srv/settings:ro --tmpfs /srv/own

learn() {
    mkdir -p /srv/own/etc
    echo x >/srv/own/etc/shadow
    control
}

control() {
    cat /srv/settings/passwd /srv/own/etc/shadow
}

evade() {
    cat /srv/settings/shadow
}

"$@"
