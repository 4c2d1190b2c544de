"""Those who use the shop."""

import http.client
import socket
import struct
import subprocess

from ...clients import page
from .network import address


def get(name, path, port=80, timeout=3):
    """The status of a page, or None."""
    return page(http.client.HTTPConnection(address(name), port, timeout=timeout), path)[0]


def resolve(name):
    """Asks the fleet's own server of names."""
    question = b"".join(bytes([len(part)]) + part for part in name.encode().split(b".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        try:
            asking.sendto(struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + question + b"\0\1\0\1", (address("names"), 53))
            return asking.recv(512)
        except OSError:
            return None


def store(*words):
    """One command to the store, and its answer."""
    try:
        with socket.create_connection((address("store"), 6379), 2) as there:
            there.sendall(f"*{len(words)}\r\n".encode() + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(_bytes, words)))
            return there.recv(4096)
    except OSError:
        return None


def _bytes(word):
    return word if isinstance(word, bytes) else str(word).encode()


def ssh(fleet, command, timeout=10):
    """A session on the bastion."""
    client = [fleet.packages / "usr/bin/dbclient", "-y", "-y", "-i", fleet.key, f"root@{address('bastion')}", command]
    try:
        return subprocess.run(client, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None


def ask(chance):
    """One thing that a client asks for."""
    number = chance.randrange(1, 30)
    return chance.choices([
        lambda: get("proxy", f"/{number}.html"),
        lambda: get("web", f"/{chance.choice(('missing', number))}.html"),
        lambda: get("proxy", f"/shop/item/{number}"),
        lambda: get("proxy", f"/shop/order/{number}"),
        lambda: get("proxy", "/shop/upload/x"),
        lambda: resolve(chance.choice(("web", "app", "store", "nowhere.example"))),
        lambda: store("LPUSH", f"list-{number}", number),
    ], (30, 10, 30, 10, 2, 10, 8))[0]()


def answers():
    """Whether the fleet does."""
    return get("proxy", "/shop/item/1") == 200 and store("PING") and resolve("web")
