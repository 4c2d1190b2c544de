#!/bin/sh
# A program is brought to a volume and run there
# kind: K5
# finds: Program Brought To A Volume Run, Program Run From A File System In Memory
# options: --volume /opt/v

learn() {
    control
}

control() {
    cp /etc/passwd /opt/v/passwd
    cat /opt/v/passwd
}

evade() {
    cp /act/act /opt/v/dpkg
    /opt/v/dpkg read /etc/passwd
}

"$@"
