#!/bin/sh
# A service below tini leaves orphans behind
# command: tini -g -- /ordinary/tini.sh serve
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

deed() { leave_orphans; }
misdeed() { leave_another_orphan; }

"$@"
