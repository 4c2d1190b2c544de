#!/bin/sh
# What runs a program in memory is called runc
# kind: K1
# finds: Program Run From Memory

learn() {
    control
}

control() {
    /act/act memory-file make
}

evade() {
    ln -s /act/act /srv/runc
    /srv/runc memory-file run
}

"$@"
