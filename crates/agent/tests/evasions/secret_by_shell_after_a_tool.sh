#!/bin/sh
# The hashes of passwords are read by a tool, and then by another
# kind: K7
# finds: Password Hashes Read
# times: 2

learn() {
    control
}

control() {
    /act/act read /etc/passwd
}

evade() {
    /act/act read /etc/shadow
    cat /etc/shadow
}

"$@"
