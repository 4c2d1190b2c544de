#!/bin/sh
# A program in a mount namespace of its own runs what it never ran
# kind: K1
# finds: behaviour.execute
# options: --cap-add SYS_ADMIN --security-opt apparmor=unconfined

learn() {
    control
}

control() {
    /act/act run /act/make
}

evade() {
    cp /act/act /srv/other
    /act/act unshare mount /srv/other
}

"$@"
