#!/bin/sh
# A program called exe with the argument init is started from outside
# kind: K1
# finds: behaviour.execute
# evade-exec: /srv/exe init

learn() {
    cp /bin/busybox /srv/exe
}

control() {
    :
}

evade() {
    :
}

"$@"
