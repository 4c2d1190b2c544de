#!/bin/sh
# A known program's name in capital letters is another program
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    /act/make
}

evade() {
    cp /act/act /srv/Make
    /srv/Make
}

"$@"
