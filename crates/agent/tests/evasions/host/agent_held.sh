#!/bin/sh
# All threads of the agent are held by a debugger for some seconds
# kind: K4
# finds: agent.tampered

control() {
    "$ACT" hold "$AGENT" 0
}

evade() {
    "$ACT" hold "$AGENT" 5
}

"$@"
