#!/bin/sh
# The agent is frozen by its cgroup for some seconds
# kind: K4
# finds: agent.tampered

root=/sys/fs/cgroup
if [ -d $root/freezer ]; then
    group=$root/freezer/eg-evasion-$AGENT home=$root/freezer
else
    group=$root/eg-evasion-$AGENT home=$root
fi

freeze() {
    if [ -e "$group/freezer.state" ]; then
        echo FROZEN >"$group/freezer.state"
    else
        echo 1 >"$group/cgroup.freeze"
    fi
}

thaw() {
    if [ -e "$group/freezer.state" ]; then
        echo THAWED >"$group/freezer.state"
    else
        echo 0 >"$group/cgroup.freeze"
    fi
}

control() {
    mkdir "$group"
    echo "$AGENT" >"$group/cgroup.procs"
    freeze
    thaw
}

evade() {
    freeze
    sleep 5
    thaw
    echo "$AGENT" >"$home/cgroup.procs"
    # Who has just left is counted for a moment.
    for _ in 1 2 3 4 5 6 7 8 9 10; do rmdir "$group" && return; sleep 0.2; done
    return 1
}

"$@"
