#!/bin/sh
# A program has a line break and an escape sequence in its name
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    cat /etc/passwd
}

evade() {
    name=$(printf "/srv/a\\n\\033[2Jb")
    cp /act/act "$name"
    "$name" read /etc/passwd
}

"$@"
