#!/bin/sh
# A file is read until it is known as harmless, and then again in a folder that was renamed to that of a cloud's credentials
# kind: K5
# finds: behaviour.read, Cloud Credentials Read By A General Tool

learn() {
    mkdir -p /srv/a /srv/b
    echo k >/srv/a/credentials
    echo k >/srv/b/credentials
    control
}

control() {
    for _ in 1 2 3 4 5 6; do cat /srv/a/credentials /srv/b/credentials; done
    mv /srv/b /srv/c
    cat /srv/c/credentials
    mv /srv/c /srv/b
}

evade() {
    mv /srv/a /srv/.aws
    cat /srv/.aws/credentials
}

"$@"
