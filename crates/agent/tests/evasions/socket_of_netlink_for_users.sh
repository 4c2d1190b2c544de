#!/bin/sh
# Data goes to another process by a netlink socket for users
# kind: K2
# finds: behaviour.socket

learn() {
    control
}

control() {
    /act/act socket 16 3 0
}

evade() {
    /act/act socket 16 3 2
}

"$@"
