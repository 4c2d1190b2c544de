#!/bin/sh
# A program that is run below another root is not what is there by that name
# kind: K1
# finds: behaviour.execute

learn() {
    mkdir -p /srv/root/bin
    control
}

control() {
    /act/make
}

evade() {
    cp /act/act /srv/root/bin/cat
    /act/act chroot /srv/root /bin/cat
}

"$@"
