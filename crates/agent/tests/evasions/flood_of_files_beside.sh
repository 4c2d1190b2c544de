#!/bin/sh
# A key is read while another container opens thousands of files
# kind: K3
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    /act/act read /srv/note
}

flood() {
    mkdir -p /srv/many
    for n in $(seq 4000); do : >"/srv/many/$n"; done
}

evade() {
    /act/act read /srv/one.key
}

"$@"
