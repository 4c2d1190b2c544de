#!/bin/sh
# A service below the init of the runtime leaves orphans behind
# command: /ordinary/docker_init.sh serve
# options: --init
# told: behaviour.execute
# shellcheck source=service.sh
. /ordinary/service.sh

deed() { leave_orphans; }
misdeed() { leave_another_orphan; }

"$@"
