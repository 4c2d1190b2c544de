#!/bin/sh
# A service below dumb-init leaves orphans behind
# command: dumb-init -c -- /ordinary/dumb_init.sh serve
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

deed() { leave_orphans; }
misdeed() { leave_another_orphan; }

"$@"
