#!/bin/sh
# What a shell is given begins with more blanks than are kept of arguments
# kind: K6
# finds: Command Too Long To Be Seen Whole

learn() {
    echo 'echo $#' >/srv/count
    control
}

control() {
    # A script with as many arguments is seen for what it is.
    sh /srv/count $(seq 1500)
}

evade() {
    sh -c "$(printf '%5000s' '') :"
}

"$@"
