#!/bin/sh
# Another program is moved to the place of a known one and run
# kind: K5
# finds: behaviour.execute, behaviour.write, Program Of The System Replaced

learn() {
    control
}

control() {
    /bin/true
}

evade() {
    cp /act/act /srv/other
    mv /srv/other /bin/true
    /bin/true
}

"$@"
