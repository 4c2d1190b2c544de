#!/bin/sh
# A program sixty folders deep in /tmp is run
# kind: K1
# finds: behaviour.execute, Program Run From A Temporary Folder

learn() {
    d=/tmp
    for _ in $(seq 60); do d=$d/a; done
    mkdir -p "$d"
    cp /bin/busybox "$d/cat"
    cat /etc/hostname
}

control() {
    cat /etc/hostname
}

evade() {
    d=/tmp
    for _ in $(seq 60); do d=$d/a; done
    "$d/cat" /etc/hostname
}

"$@"
