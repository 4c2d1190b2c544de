#!/bin/sh
# A link that is called sshd reads the hashes of passwords
# kind: K1
# finds: Password Hashes Read, behaviour.read

learn() {
    control
}

control() {
    /act/act read /etc/passwd
}

evade() {
    ln -s /act/act /srv/sshd
    /srv/sshd read /etc/shadow
}

"$@"
