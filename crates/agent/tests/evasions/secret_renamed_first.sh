#!/bin/sh
# A key gets a harmless name before it is read
# kind: K5
# finds: behaviour.read, behaviour.rename

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    control
}

control() {
    mv /srv/note /srv/note2
    /act/act read /srv/note2
    mv /srv/note2 /srv/note
}

evade() {
    mv /srv/one.key /srv/two
    /act/act read /srv/two
}

"$@"
