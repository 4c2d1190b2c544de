#!/bin/sh
# A program in memory has the name of a runtime's copy of itself
# kind: K1
# finds: Program Run From Memory

learn() {
    control
}

control() {
    /act/act memory-file make runc_cloned:/proc/self/exe
}

evade() {
    /act/act memory-file run runc_cloned:/proc/self/exe
}

"$@"
