#!/bin/sh
# A script in /tmp is given to a shell by a way that begins elsewhere, behind options
# kind: K1
# finds: Program Run From A Temporary Folder

learn() {
    echo : >/srv/script
    control
}

control() {
    cd /srv
    sh -e ./script
}

evade() {
    echo : >/tmp/script
    cd /srv
    busybox sh -e -o noglob ../tmp/./script
}

"$@"
