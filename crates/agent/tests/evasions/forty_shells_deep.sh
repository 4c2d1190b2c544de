#!/bin/sh
# A key is read below forty shells
# kind: K2
# finds: behaviour.read

# Runs itself below itself, so many times.
deep() {
    if [ "$1" -eq 0 ]; then
        /act/act read "$2"
    else
        sh /evasions/forty_shells_deep.sh deep $(($1 - 1)) "$2"
        :
    fi
}

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    deep 40 /srv/note
}

evade() {
    deep 40 /srv/one.key
}

"$@"
