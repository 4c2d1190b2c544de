#!/bin/sh
# A key is read while another container starts processes as fast as it can
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
    for _ in $(seq 2000); do (:); done
}

evade() {
    /act/act read /srv/one.key
}

"$@"
