#!/bin/sh
# A program is run by a descriptor after its last name was removed
# kind: K5
# finds: behaviour.execute, Program Not In The Image Run

learn() {
    control
}

control() {
    cat /etc/passwd
}

evade() {
    cp /act/act /srv/x
    exec 9</srv/x
    rm /srv/x
    /proc/self/fd/9 read /etc/passwd
}

"$@"
