#!/bin/sh
# A program runs itself by its entry in /proc and reads a key
# kind: K2
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    /act/act run /proc/self/exe read /srv/note
}

evade() {
    /act/act run /proc/self/exe read /srv/one.key
}

"$@"
