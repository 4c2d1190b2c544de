#!/bin/sh
# Packets are forged by a raw socket
# kind: K2
# finds: behaviour.socket

learn() {
    control
}

control() {
    /act/act socket 2 2 17
}

evade() {
    /act/act socket 2 3 255
}

"$@"
