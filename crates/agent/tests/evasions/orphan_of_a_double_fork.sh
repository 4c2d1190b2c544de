#!/bin/sh
# A process forks twice, and what is left of it reads a key
# kind: K2
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    control
}

control() {
    /act/act forget /etc/passwd
    sleep 2
}

evade() {
    /act/act forget /srv/one.key
    sleep 2
}

"$@"
