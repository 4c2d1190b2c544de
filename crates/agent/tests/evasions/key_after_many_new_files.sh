#!/bin/sh
# A key is read after three hundred new programs
# kind: K6
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    echo x >/srv/note
    mkdir /srv/many
    control
}

control() {
    /act/act read /srv/note
}

evade() {
    for n in $(seq 300 | tr 0-9 a-j); do ln -s /act/act "/srv/many/$n"; "/srv/many/$n" read /srv/note; done
    /act/act read /srv/one.key
}

"$@"
