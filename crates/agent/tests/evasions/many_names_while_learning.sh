#!/bin/sh
# A profile is filled with names while it is learnt, and then a new program is run
# kind: K3
# finds: behaviour.execute

learn() {
    mkdir /srv/many
    /act/act names /srv/many 5300
    control
}

control() {
    /act/make
}

evade() {
    cp /act/act /srv/implant
    /srv/implant
}

"$@"
