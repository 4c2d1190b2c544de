#!/bin/sh
# A child that shares its parent's memory becomes another program
# kind: K2
# finds: behaviour.execute

learn() {
    control
}

control() {
    /act/act vfork /act/make
}

evade() {
    cp /act/act /srv/other
    /act/act vfork /srv/other
}

"$@"
