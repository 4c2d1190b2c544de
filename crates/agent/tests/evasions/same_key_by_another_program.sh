#!/bin/sh
# A key that one program usually reads is read by another
# kind: K7
# finds: behaviour.read

learn() {
    echo k >/srv/one.key
    cp /act/act /srv/other
    /srv/other read /etc/passwd
    control
}

control() {
    /act/act read /srv/one.key
}

evade() {
    /srv/other read /srv/one.key
}

"$@"
