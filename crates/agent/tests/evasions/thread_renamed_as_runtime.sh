#!/bin/sh
# A thread gives itself the name of a runtime on its way in, and reads the hashes of passwords
# kind: K1
# finds: Password Hashes Read, behaviour.read

learn() {
    control
}

control() {
    /act/act read /etc/passwd
}

evade() {
    /act/act renamed "runc:[2:INIT]" /etc/shadow
}

"$@"
