#!/bin/sh
# A key is read by a ring whose requests a thread of the kernel submits, where rings as such are usual
# kind: K2
# finds: behaviour.ring, behaviour.read
# options: --security-opt seccomp=unconfined

learn() {
    echo k >/srv/site.key
    control
}

control() {
    /act/act ring calls /etc/hostname
}

evade() {
    /act/act ring kernel-thread /srv/site.key
}

"$@"
