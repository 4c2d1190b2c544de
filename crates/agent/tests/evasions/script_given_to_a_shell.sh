#!/bin/sh
# A script in /tmp that is no program is given to a shell
# kind: K1
# finds: Program Run From A Temporary Folder

learn() {
    echo : >/srv/script
    control
}

control() {
    sh /srv/script
}

evade() {
    echo : >/tmp/script
    sh /tmp/script
}

"$@"
