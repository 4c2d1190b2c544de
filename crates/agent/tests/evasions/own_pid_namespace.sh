#!/bin/sh
# The first process of a new pid namespace reads a key
# kind: K2
# finds: behaviour.read
# options: --cap-add SYS_ADMIN --security-opt apparmor=unconfined

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    /act/act unshare pid /act/act read /srv/note
}

evade() {
    /act/act unshare pid /act/act read /srv/one.key
}

"$@"
