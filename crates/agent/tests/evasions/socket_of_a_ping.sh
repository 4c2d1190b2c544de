#!/bin/sh
# Data goes out in the packets of a ping, by a socket that needs no privilege
# kind: K2
# finds: behaviour.socket

learn() {
    control
}

control() {
    /act/act socket 2 2 17
    /act/act socket 2 1 6
}

evade() {
    /act/act socket 2 2 1
}

"$@"
