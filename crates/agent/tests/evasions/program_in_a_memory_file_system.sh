#!/bin/sh
# A program is run from a file system in memory
# kind: K5
# finds: behaviour.execute, Program Run From A Temporary Folder

learn() {
    control
}

control() {
    cat /etc/passwd
}

evade() {
    cp /act/act /tmp/x
    /tmp/x read /etc/passwd
}

"$@"
