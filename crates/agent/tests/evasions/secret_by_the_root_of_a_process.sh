#!/bin/sh
# A key is read by the root folder of a process
# kind: K5
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    /act/act read /srv/note
}

evade() {
    /act/act read /proc/self/root/srv/one.key
}

"$@"
