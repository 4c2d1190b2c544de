#!/bin/sh
# A key that was read once by root is read by another user
# kind: K7
# finds: behaviour.read
# times: 2

learn() {
    echo k >/srv/one.key
    chmod 644 /srv/one.key
    echo x >/srv/note
    /act/act user 65534 /act/act read /srv/note
    control
}

control() {
    /act/act read /srv/note
}

evade() {
    /act/act read /srv/one.key
    /act/act user 65534 /act/act read /srv/one.key
}

"$@"
