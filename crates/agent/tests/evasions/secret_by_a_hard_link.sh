#!/bin/sh
# The hashes of passwords are read by another name of the same file
# kind: K5
# finds: Password Hashes Read, behaviour.read, behaviour.link

learn() {
    control
}

control() {
    /act/act read /etc/passwd
}

evade() {
    ln /etc/shadow /srv/notes
    /act/act read /srv/notes
}

"$@"
