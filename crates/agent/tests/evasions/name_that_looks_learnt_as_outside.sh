#!/bin/sh
# A program is named as profiles name what comes from outside
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    cat /etc/passwd
}

evade() {
    mkdir -p /srv/bin
    cp /act/act "/srv/bin/(outside)"
    "/srv/bin/(outside)" run /bin/true
}

"$@"
