#!/bin/sh
# The hashes of passwords are read by a descriptor that only stands for the file
# kind: K5
# finds: Password Hashes Read, behaviour.read

learn() {
    control
}

control() {
    /act/act reopen /etc/passwd
}

evade() {
    /act/act reopen /etc/shadow
}

"$@"
