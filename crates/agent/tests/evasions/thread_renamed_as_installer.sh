#!/bin/sh
# A thread gives itself the name of an installer, and reads the hashes of passwords
# kind: K1
# finds: Password Hashes Read, behaviour.read

learn() {
    control
}

control() {
    /act/act renamed apt-get /etc/passwd
}

evade() {
    /act/act renamed apt-get /etc/shadow
}

"$@"
