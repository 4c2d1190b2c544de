#!/bin/sh
# A program sixty folders deep is started from outside, as a health check would
# kind: K1
# finds: behaviour.execute
# evade-exec: /srv/deep cat /srv/one.key

learn() {
    d=/srv
    for _ in $(seq 60); do d=$d/a; done
    mkdir -p "$d" /srv/c
    cp /bin/busybox "$d/cat"
    cp /bin/busybox /srv/c/cat
    ln -s "$d/cat" /srv/deep
    echo k >/srv/one.key
    /srv/c/cat /srv/one.key
}

control() {
    :
}

evade() {
    :
}

"$@"
