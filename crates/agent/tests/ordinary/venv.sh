#!/bin/sh
# An entrypoint makes a virtual environment where there is none, and jobs run in it
# command: /ordinary/venv.sh start serve
# long start: it installs
# restarted: one random name does not show that it is random
# told: behaviour.execute, Program Not In The Image Run
# noted: Package Installed In Container, Program Not In The Image Run, behaviour.write
# shellcheck source=service.sh
. /ordinary/service.sh

start() {
    [ -x /srv/venv/bin/pip ] || python3 -m venv /srv/venv
    /srv/venv/bin/pip install --quiet --no-index --force-reinstall /opt/job-1.0-py3-none-any.whl
    . /srv/venv/bin/activate
    exec "$0" "$1"
}

deed() {
    job
    python -m json.tool /srv/report >/dev/null
}

misdeed() {
    printf '#!/srv/venv/bin/python\nprint(1)\n' >/srv/venv/bin/other
    chmod 755 /srv/venv/bin/other
    other >/dev/null
}

"$@"
