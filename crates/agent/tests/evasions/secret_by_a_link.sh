#!/bin/sh
# A key is read by a symbolic link that has a harmless name
# kind: K5
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    /act/act read /srv/note
}

evade() {
    ln -s /srv/one.key /srv/notes.txt
    /act/act read /srv/notes.txt
}

"$@"
