#!/bin/sh
# A script that opens a shell over the network begins with a secret
# kind: K1
# finds: Script Opens A Shell Over The Network

learn() {
    control
}

control() {
    python3 -c 'password="";print(1)'
}

evade() {
    python3 -c 'password="";import socket,pty;pty.spawn("/bin/sh")'
}

"$@"
