"""Ordinary life of the office."""

import random

from . import clients

ROTATE_LOG = "psql -qAtc 'SELECT pg_rotate_logfile()' >/dev/null"
ACTIVITY = "SELECT pid, state, query FROM pg_stat_activity; SELECT relname, n_live_tup FROM pg_stat_user_tables"
EXPORT = r"\copy (SELECT page, count(*) FROM visits GROUP BY page) TO /tmp/visits.csv CSV HEADER"
RESTORED = """createdb trial; pg_dump -Fc office >/tmp/trial.dump; pg_restore -d trial /tmp/trial.dump
psql -qAtc 'SELECT count(*) FROM documents' trial; dropdb trial; rm /tmp/trial.dump"""
INSIDE_API = "ps aux; ls -la /srv/api /srv/api/data; curl -s http://localhost:3000/api/status; tail -n 2 /srv/api/data/orders.jsonl; df -h /"
INSIDE_MAIL = "postqueue -p; tail -n 20 /var/log/mail.log; wc -l /var/spool/tickets/list; ls -la /var/mail"
INSIDE_FILES = "tail -n 5 /var/log/vsftpd.log; du -sh /srv/ftp/*; ps -ef; ss -tln"
INSIDE_GATEWAY = "haproxy -c -f /etc/haproxy/haproxy.cfg; cat /proc/1/limits; ss -s; openssl version || true"


def hourly(fleet, chance):
    """In every hour of work somebody is on the login host."""
    commands = [
        ("anna", "ls -la; date >>notes.txt; tail -n 3 notes.txt"), ("bert", "uptime; df -h; free -m; w"),
        ("carla", "sudo ls -la /root; sudo tail -n 3 /var/log/lastlog | wc -c"), ("anna", "rsync -a notes.txt saved/; ls saved; wc -l notes.txt"),
        ("bert", "ps aux | sort -k 4 | tail -n 5; id; cat /etc/hosts"),
    ]
    session = lambda person, command: lambda: clients.ssh(fleet, person, command)
    return [(hour + chance.random() * 0.8, "session on the login host", session(*chance.choice(commands))) for hour in range(8, 19, 2)]


def daily(fleet, chance):
    return [
        (0.5, "certificate renewed", fleet.renew_certificate),
        (0.8, "gateway reads its certificate", lambda: fleet.signal("gateway", "USR2")),
        (1, "dump by a container", fleet.dump),
        (2, "log rotation of portal", lambda: fleet.exec("portal", "logrotate --force /etc/logrotate.d/office")),
        (2.5, "log rotation of database", lambda: fleet.exec("database", ROTATE_LOG)),
        (3, "vacuum", lambda: fleet.exec("database", "vacuumdb --quiet --analyze office")),
        (4, "old files removed", lambda: fleet.exec("files", "find /srv/ftp/reports/incoming -type f -mmin +3 -delete; du -s /srv/ftp >/dev/null")),
        (7, "configuration of portal tested and read again", lambda: fleet.exec("portal", "apachectl configtest && apachectl graceful")),
        (8.5, "somebody looks into mail", lambda: fleet.exec("mail", INSIDE_MAIL)),
        (9, "somebody looks at the database's activity", lambda: fleet.exec("database", f"psql -c \"{ACTIVITY}\" office")),
        (10.5, "figures of the cache", lambda: fleet.exec("cache", "printf 'stats\\r\\nquit\\r\\n' | nc localhost 11211 | head -n 20")),
        (11, "figures of the gateway", lambda: fleet.exec("gateway", "echo 'show stat' | nc -U /run/haproxy/admin.sock | cut -d, -f 1,2,18")),
        (12, "packages of login compared", lambda: fleet.exec("login", "apt-get -q update && apt list --upgradable && dpkg -l | wc -l")),
        (14, "somebody looks into api", lambda: fleet.exec("api", INSIDE_API)),
        (16, "gateway reads its configuration", lambda: fleet.signal("gateway", "USR2")),
        (17 + chance.random(), "restart of cache", lambda: fleet.restart("cache")),
        (19, "mail reads its configuration", lambda: fleet.exec("mail", "postfix check; postfix reload")),
        (22, "data archived by a container", fleet.archive),
    ]


def hire(fleet):
    """A person more: an account, a key, and a first session."""
    key = fleet.public("dora")
    fleet.exec("login", f"""useradd --create-home --shell /bin/bash dora && mkdir -m 700 /home/dora/.ssh &&
echo '{key.strip()}' >/home/dora/.ssh/authorized_keys && chown -R dora:dora /home/dora/.ssh""")
    clients.ssh(fleet, "dora", "pwd; cp /etc/profile .; vdir")


def of_day(number, fleet):
    """What is done on the first, the second, the third day: hour, what it is, and how it is done. On the second some things are done
    for the first time, as they are on any day."""
    chance = random.Random(100 + number)
    life = hourly(fleet, chance) + daily(fleet, chance)
    if number == 1:
        life += [(13, "deploy of api", lambda: fleet.deploy("api")), (15, "deploy of portal", lambda: fleet.deploy("portal"))]
    if number == 2:
        life += [
            (5, "package installed in batch", lambda: fleet.exec("batch", "apt-get -q update && apt-get -q install -y jq && jq -n 1")),
            (6, "first day of a person more", lambda: hire(fleet)),
            (9.5, "first export by hand", lambda: fleet.exec("database", f"psql -c '{EXPORT}' office && wc -l /tmp/visits.csv")),
            (12.5, "first look into files", lambda: fleet.exec("files", INSIDE_FILES)),
            (13, "dump tried by restoring it", lambda: fleet.exec("database", RESTORED)),
            (13.7, "indexes made anew", lambda: fleet.exec("database", "reindexdb --quiet office")),
            (15, "deploy of api", lambda: fleet.deploy("api")),
            (15.5, "first invoice", lambda: clients.get("/api/invoice/1")),
            (18, "first look into gateway", lambda: fleet.exec("gateway", INSIDE_GATEWAY)),
            (18.5, "new version of database", lambda: fleet.deploy("database")),
            (20, "packages of login upgraded", lambda: fleet.exec("login", "apt-get -q update && apt-get -q upgrade -y && office-status")),
            (20.5, "mail limit changed", lambda: fleet.exec("mail", "postconf -e message_size_limit=20480000 && postfix reload")),
            (21, "restart of files", lambda: fleet.restart("files")),
        ]
    return sorted(life, key=lambda done: done[0])
