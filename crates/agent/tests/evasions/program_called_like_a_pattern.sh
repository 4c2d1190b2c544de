#!/bin/sh
# A program is named as a profile would name many
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    /act/make
}

evade() {
    cp /act/act "/srv/*"
    "/srv/*"
}

"$@"
