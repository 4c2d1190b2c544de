#!/bin/sh
# The folder of a secret is made the root of the program that reads it
# kind: K5
# finds: behaviour.read, Password Hashes Read

learn() {
    mkdir -p /srv/etc
    echo x >/srv/etc/note
    control
}

control() {
    /act/act read-below /srv/etc /note
}

evade() {
    /act/act read-below /etc /shadow
}

"$@"
