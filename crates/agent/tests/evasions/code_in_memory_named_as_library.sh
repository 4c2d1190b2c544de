#!/bin/sh
# Code is mapped from memory that has the name of a library's
# kind: K1
# finds: Code Mapped From Memory Only

learn() {
    control
}

control() {
    /act/act memory-file make libffi
}

evade() {
    /act/act memory-file map runc_cloned
}

"$@"
