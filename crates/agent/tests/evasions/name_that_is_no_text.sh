#!/bin/sh
# A program has a name that is no UTF-8
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    cat /etc/passwd
}

evade() {
    name=$(printf "/srv/a\\377b")
    cp /act/act "$name"
    "$name" read /etc/passwd
}

"$@"
