#!/bin/sh
# The hashes of passwords are opened and read by io_uring, without the calls that do it
# kind: K2
# finds: behaviour.ring, Password Hashes Read
# options: --security-opt seccomp=unconfined

learn() {
    control
}

control() {
    /act/act read /etc/hostname
}

evade() {
    echo 'root:x:1::::::' >/etc/shadow
    /act/act ring calls /etc/shadow
}

"$@"
