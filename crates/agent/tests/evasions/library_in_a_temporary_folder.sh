#!/bin/sh
# A program of the image loads code from a file in /tmp
# kind: K5
# finds: Library Loaded From A Temporary Folder, behaviour.load

learn() {
    control
}

control() {
    /act/act load /bin/busybox
}

evade() {
    cp /act/act /tmp/library.so
    /act/act load /tmp/library.so
}

"$@"
