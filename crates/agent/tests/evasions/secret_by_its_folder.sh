#!/bin/sh
# The hashes of passwords are read by a name in an open folder
# kind: K5
# finds: Password Hashes Read, behaviour.read

learn() {
    control
}

control() {
    /act/act at /etc passwd
}

evade() {
    /act/act at /etc shadow
}

"$@"
