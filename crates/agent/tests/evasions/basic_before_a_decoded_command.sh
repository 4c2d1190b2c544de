#!/bin/sh
# The word basic, as in a header, stands before a command that is decoded and run
# kind: K1
# finds: Encoded Command Decoded And Run

learn() {
    control
}

control() {
    sh -c ": basic; echo aWQK" || :
}

evade() {
    sh -c ": basic ; echo aWQK | base64 -d | sh" || :
}

"$@"
