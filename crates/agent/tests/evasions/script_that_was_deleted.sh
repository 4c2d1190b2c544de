#!/bin/sh
# A shell runs a script by a descriptor after its last name was removed
# kind: K5
# finds: Script Without A Name Run

learn() {
    echo : >/srv/script
    control
}

control() {
    sh /srv/script
}

evade() {
    echo : >/srv/gone
    exec 9</srv/gone
    rm /srv/gone
    sh /proc/self/fd/9
}

"$@"
