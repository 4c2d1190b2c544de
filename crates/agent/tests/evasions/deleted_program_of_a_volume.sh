#!/bin/sh
# A program of a volume is run by a descriptor after its last name was removed
# kind: K5
# finds: Program Without A Name Run
# options: --volume /opt/v

learn() {
    control
}

control() {
    exec 9</etc/passwd
    cat /proc/self/fd/9
}

evade() {
    cp /act/act /opt/v/x
    exec 9</opt/v/x
    rm /opt/v/x
    /proc/self/fd/9 read /etc/passwd
}

"$@"
