#!/bin/sh
# Another program writes into the agent's table of what is collected that nothing is
# kind: K4
# finds: agent.tampered
# alone

control() {
    "$ACT" blind eg_no_such_table
}

evade() {
    "$ACT" blind subscription
}

"$@"
