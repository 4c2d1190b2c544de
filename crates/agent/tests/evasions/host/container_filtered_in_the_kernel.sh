#!/bin/sh
# Another program writes into the agent's table of containers that a container's events are left out
# kind: K4
# finds: agent.tampered
# alone

control() {
    "$ACT" blind eg_no_such_table
}

evade() {
    "$ACT" blind container_filter
}

"$@"
