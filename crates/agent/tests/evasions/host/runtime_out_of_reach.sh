#!/bin/sh
# The runtime's socket is taken away, so that containers have no names
# kind: K4
# finds: agent.blinded

control() {
    touch "$RUNTIME"
}

evade() {
    mv "$RUNTIME" "$RUNTIME.away"
}

"$@"
