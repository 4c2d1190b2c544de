"""Those who use the fleet, from outside of it."""

import http.client
import random
import socket
import struct
import subprocess
import threading
import time

from . import address


def get(name, path, port=80, timeout=3):
    """The status of a page, or None."""
    connection = http.client.HTTPConnection(address(name), port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


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


class Clients:
    """They ask until they are stopped, the same things in the same order each time that the seed is the same."""

    def __init__(self, seed, pause=0.08):
        self.chance, self.pause = random.Random(seed), pause
        self.asked = self.failed = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _once(self):
        chance = self.chance
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

    def _ask(self):
        while not self.ended.wait(self.pause * self.chance.uniform(0.5, 1.5)):
            self.asked += 1
            self.failed += self._once() is None

    def stop(self):
        self.ended.set()
        self.thread.join()
