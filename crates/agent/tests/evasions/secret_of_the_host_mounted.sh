#!/bin/sh
# The host's root is mounted at a place of no particular name, and a secret of the host is read there
# kind: K5
# finds: behaviour.read, Password Hashes Read
# options: --volume /:/srv/x:ro

learn() {
    control
}

control() {
    cat /srv/x/etc/passwd
}

evade() {
    cat /srv/x/etc/shadow
}

"$@"
