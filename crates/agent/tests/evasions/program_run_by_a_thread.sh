#!/bin/sh
# A thread that is not the first becomes another program
# kind: K2
# finds: behaviour.execute

learn() {
    control
}

control() {
    /act/act thread-run /act/make
}

evade() {
    cp /act/act /srv/other
    /act/act thread-run /srv/other
}

"$@"
