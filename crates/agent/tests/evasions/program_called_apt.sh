#!/bin/sh
# A tool is called like an installer, and reads the hashes of passwords
# kind: K1
# finds: Password Hashes Read, behaviour.read

learn() {
    ln -s /act/act /srv/apt
    control
}

control() {
    /srv/apt read /etc/passwd
}

evade() {
    /srv/apt read /etc/shadow
}

"$@"
