#!/bin/sh
# A program of the image is run by another name of the same file
# kind: K5
# finds: behaviour.execute

learn() {
    control
}

control() {
    cat /etc/hostname
}

evade() {
    ln /bin/busybox /srv/busybox-tool
    /srv/busybox-tool id
}

"$@"
