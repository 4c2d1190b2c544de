#!/bin/sh
# A program that usually reads one key reads another
# kind: K7
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo k >/srv/two.key
    control
}

control() {
    /act/act read /srv/one.key
}

evade() {
    /act/act read /srv/two.key
}

"$@"
