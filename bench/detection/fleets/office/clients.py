"""Those who use the office."""

import ftplib
import http.client
import io
import smtplib
import socket
import ssl
import subprocess
from urllib.parse import quote, urlencode

from ...clients import page
from .network import address

TRUSTING = ssl._create_unverified_context()
MULTIPART = {"content-type": "multipart/form-data; boundary=part"}


def web(path, method="GET", body=None, headers=None, timeout=4):
    """The status and the text of a page that the gateway gives."""
    return page(http.client.HTTPSConnection(address("gateway"), 443, timeout=timeout, context=TRUSTING), path, method, body, headers)


def get(path):
    """The status, or None."""
    return web(path)[0]


def search(words):
    return get("/search.php?" + urlencode({"q": words}))


def upload(name, content):
    body = f'--part\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode() + content + b"\r\n--part--\r\n"
    return web("/upload.php", "POST", body, MULTIPART)[0]


def preview(name, timeout=4):
    return web("/preview.php?name=" + quote(name), timeout=timeout)[0]


def contact(subject):
    return web("/contact.php", "POST", urlencode({"subject": subject}), {"content-type": "application/x-www-form-urlencoded"})[0]


def mail(to, subject, sender="customer@abroad.example"):
    """One mail to the office's server: whether it took it."""
    try:
        with smtplib.SMTP(address("mail"), 25, "client.abroad.example", 4) as server:
            server.sendmail(sender, to, f"From: {sender}\r\nSubject: {subject}\r\n\r\nhello\r\n")
            return True
    except (OSError, smtplib.SMTPException):
        return None


def ftp(user, password, work):
    """A session with the file server, in which `work` is done."""
    try:
        with ftplib.FTP(timeout=4) as server:
            server.connect(address("files"))
            server.login(user, password)
            return work(server) or True
    except (OSError, EOFError, ftplib.Error):
        return None


def scan(number):
    """A scanner leaves a page, and looks at what is there."""
    def work(server):
        server.nlst()
        server.storbinary(f"STOR incoming/scan-{number}.pdf", io.BytesIO(b"x" * 3000))
    return ftp("scans", "paper-tray", work)


def fetch(number):
    return ftp("scans", "paper-tray", lambda server: server.retrbinary(f"RETR scan-{number}.pdf", lambda _: None))


def ssh_command(fleet, person, *words):
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
               "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=5", "-F", "none", "-i", fleet.keys / person]
    return ["ssh", *options, *words]


def ssh(fleet, person, command, stdin=b"", timeout=15):
    """A session on the login host; an error where it cannot be had."""
    words = ssh_command(fleet, person, f"{person}@{address('login')}", command)
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=timeout)
    if done.returncode == 255:
        raise RuntimeError(f"no session of {person}: {done.stderr.decode(errors='replace').strip()}")
    return done


def forwarded(fleet, person, target, sent, timeout=6):
    """What the target answers, reached through the login host."""
    words = ssh_command(fleet, person, "-W", target, f"{person}@{address('login')}")
    return subprocess.run(words, input=sent, capture_output=True, timeout=timeout).stdout


def ask(chance):
    """One thing that a client asks for."""
    number = chance.randrange(1, 30)
    return chance.choices([
        lambda: get("/"),
        lambda: get(f"/document.php?id={number}"),
        lambda: search(f"document {number}"),
        lambda: get(f"/api/stock/{number}"),
        lambda: get(f"/api/order/{number}"),
        lambda: get(f"/page.php?page={chance.choice(('help.html', 'contact.html'))}"),
        lambda: upload(f"note-{number}.txt", b"a line\n" * 20),
        lambda: preview(f"note-{number}.txt"),
        lambda: contact(f"question {number}"),
        lambda: mail("bert@office.example", f"offer {number}"),
        lambda: mail("tickets@office.example", f"printer {number} is out of paper"),
        lambda: scan(number),
        lambda: fetch(number),
        lambda: get("/api/report/x"),
    ], (20, 25, 15, 20, 10, 6, 4, 4, 2, 4, 3, 3, 4, 2))[0]()


def accepts(name, port):
    try:
        with socket.create_connection((address(name), port), 1):
            return True
    except OSError:
        return False


def answers():
    """Whether all of them do."""
    open_ports = (("mail", 25), ("files", 21), ("login", 22), ("cache", 11211), ("database", 5432))
    return all(accepts(*there) for there in open_ports) and get("/document.php?id=1") == 200 and get("/api/status") == 200
