#!/bin/sh
# A known program's name with a capital letter is another program
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
