#!/bin/sh
# A shell from inside runs what it never ran
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    sh -c "cd /; cat /etc/passwd"
}

evade() {
    sh -c "cd /; /act/act read /etc/passwd"
}

"$@"
