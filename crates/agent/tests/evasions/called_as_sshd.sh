#!/bin/sh
# A program is called sshd by its first argument, and reads the hashes of passwords
# kind: K1
# finds: Password Hashes Read, behaviour.read

learn() {
    control
}

control() {
    /act/act called sshd /act/act read /etc/passwd
}

evade() {
    /act/act called sshd /act/act read /etc/shadow
}

"$@"
