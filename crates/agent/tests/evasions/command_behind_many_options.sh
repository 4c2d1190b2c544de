#!/bin/sh
# The option of a shell that a command follows comes behind hundreds of others
# kind: K6
# finds: Command Too Long To Be Seen Whole

learn() {
    control
}

control() {
    sh -o noglob -c :
}

evade() {
    options=
    for _ in $(seq 600); do options="$options -o noglob"; done
    # Split on purpose.
    sh $options -c :
}

"$@"
