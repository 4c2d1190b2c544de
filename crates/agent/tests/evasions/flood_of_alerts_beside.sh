#!/bin/sh
# A key is read while another container causes hundreds of alerts
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
    for n in $(seq 400); do ln -s /act/act "/srv/many/$n"; "/srv/many/$n" read /etc/shadow; done
}

evade() {
    /act/act read /srv/one.key
}

"$@"
