#!/bin/sh
# The agent is stopped by a signal for some seconds
# kind: K4
# finds: agent.tampered

control() {
    kill -CONT "$AGENT"
}

evade() {
    kill -STOP "$AGENT"
    sleep 5
    kill -CONT "$AGENT"
}

"$@"
