#!/bin/sh
# A program of the image loads code from a file that was written in the container
# kind: K5
# finds: behaviour.load

learn() {
    control
}

control() {
    /act/act load /bin/busybox
}

evade() {
    cp /act/act /srv/library.so
    /act/act load /srv/library.so
}

"$@"
