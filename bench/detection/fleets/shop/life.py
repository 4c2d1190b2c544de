"""Ordinary life of the shop."""

import random

from . import clients

LAST_ERRORS = "tail -n 5 /var/log/nginx/error.log"
INSIDE = "ps; ls -la /data /etc; cat /etc/hosts; df; uptime"


def hourly(fleet, chance):
    """On every hour of work somebody is on the bastion."""
    commands = ["uptime; df", "ls -la /var/log", "cat /etc/hosts; ps", "date >> /root/notes"]
    session = lambda command: lambda: clients.ssh(fleet, command)
    return [(hour + chance.random() * 0.8, "session on the bastion", session(chance.choice(commands))) for hour in range(8, 19, 2)]


def daily(fleet, chance):
    rotate = "cd /var/log/nginx && mv access.log access.log.1 && kill -USR1 $(cat /run/nginx.pid) && sleep 0.2 && gzip -f access.log.1"
    return [
        (1, "backup", fleet.backup),
        (2, "log rotation of web", lambda: fleet.exec("web", rotate)),
        (2.3, "log rotation of proxy", lambda: fleet.exec("proxy", rotate)),
        (2.5, "log of broker moved", lambda: fleet.exec("broker", "mv /var/log/mosquitto.log /var/log/mosquitto.log.1")),
        (2.7, "log of broker opened anew", lambda: fleet.signal("broker", "HUP")),
        (7, "snapshot of the store", lambda: clients.store("BGSAVE")),
        (9, "names read again", lambda: fleet.signal("names", "HUP")),
        (10, "configuration of proxy read again", lambda: fleet.signal("proxy", "HUP")),
        (11, "configuration of web tested", lambda: fleet.exec("web", "nginx -t -c /etc/nginx.conf")),
        (11.2, "configuration of web read again", lambda: fleet.signal("web", "HUP")),
        (13, "report asked for", lambda: clients.get("app", "/report", 8000)),
        (14, "somebody looks into app", lambda: fleet.exec("app", f"{INSIDE}; wget -q -O - http://localhost:8000/health")),
        (16, "somebody looks into store", lambda: fleet.exec("store", f"{INSIDE}; redis-cli INFO stats")),
        (17 + chance.random(), "restart of broker", lambda: fleet.restart("broker")),
        (22, "backup", fleet.backup),
    ]


def of_day(number, fleet):
    """What is done on the first, the second, the third day: hour, what it is, and how it is done. On the second some things are done
    for the first time, as they are on any day."""
    chance = random.Random(number)
    life = hourly(fleet, chance) + daily(fleet, chance)
    if number == 1:
        life += [(15, "deploy of app", lambda: fleet.deploy("app")), (15.5, "deploy of web", lambda: fleet.deploy("web"))]
    if number == 2:
        life += [
            (5, "restart of names", lambda: fleet.restart("names")),
            (12, "first invoice", lambda: clients.get("app", "/invoice/1", 8000)),
            (15, "deploy of app", lambda: fleet.deploy("app")),
            (18, "first look into proxy", lambda: fleet.exec("proxy", f"{LAST_ERRORS}; free; wget -q -O - http://app:8000/health")),
            (19.5, "first look into broker", lambda: fleet.exec("broker", "ls -la /data; tail /var/log/mosquitto.log")),
            (20, "restart of store", lambda: fleet.restart("store")),
        ]
    return sorted(life, key=lambda done: done[0])
