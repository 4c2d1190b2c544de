#!/bin/sh
# A program in a file system in memory has the name of an installer, in a folder for programs
# kind: K1
# finds: Program Run From A File System In Memory
# options: --tmpfs /opt/c:exec

learn() {
    control
}

control() {
    cp /etc/passwd /opt/c/passwd
    cat /opt/c/passwd
}

evade() {
    cp /act/act /opt/c/dpkg
    /opt/c/dpkg read /etc/passwd
}

"$@"
