#!/bin/sh
# A program is named as a profile would write another one and how it is called
# kind: K1
# finds: behaviour.execute

learn() {
    control
}

control() {
    cat /etc/passwd
}

evade() {
    cp /act/act "/bin/busybox (cat)"
    "/bin/busybox (cat)" read /etc/passwd
}

"$@"
