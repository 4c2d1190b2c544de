#!/bin/sh
# A container does more than the kernel's buffers hold while the agent is stopped
# kind: K4
# finds: agent.overwhelmed

control() {
    docker exec "$CONTAINER" sh -c 'mkdir /srv/few; /act/act names /srv/few 20'
}

evade() {
    kill -STOP "$AGENT"
    docker exec "$CONTAINER" sh -c 'mkdir /srv/many; /act/act names /srv/many 6000'
    kill -CONT "$AGENT"
}

"$@"
