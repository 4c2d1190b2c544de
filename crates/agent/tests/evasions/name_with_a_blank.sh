#!/bin/sh
# A program has a known one's name and a blank behind it
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    /act/make
}

evade() {
    cp /act/act "/srv/make "
    "/srv/make "
}

"$@"
