#!/bin/sh
# A program has the longest name that there can be
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    cat /etc/passwd
}

evade() {
    name=/srv/$(printf "%0255d" 0)
    cp /act/act "$name"
    "$name" read /etc/passwd
}

"$@"
