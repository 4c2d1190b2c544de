#!/bin/sh
# A socket that answered a datagram sends to another peer
# kind: K2
# finds: behaviour.connect

learn() {
    control
}

ask() {
    /act/act ask 1 name.example 127.0.0.1 >/dev/null 2>&1
}

control() {
    /act/act reply 53 &
    sleep 1
    ask
    wait
}

evade() {
    /act/act reply 53 203.0.113.7 &
    sleep 1
    ask
    wait
}

"$@"
