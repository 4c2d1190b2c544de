#!/bin/sh
# A key is read while another container runs hundreds of new programs
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
    /act/act names /srv/many 800
}

evade() {
    /act/act read /srv/one.key
}

"$@"
