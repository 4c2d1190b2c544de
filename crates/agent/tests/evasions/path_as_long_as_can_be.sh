#!/bin/sh
# A program lies in folders with names of two hundred bytes each
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    cat /etc/passwd
}

evade() {
    part=$(printf "%0200d" 0)
    folder=/srv
    for _ in $(seq 15); do folder=$folder/$part; done
    mkdir -p "$folder"
    cp /act/act "$folder/x"
    "$folder/x" read /etc/passwd
}

"$@"
