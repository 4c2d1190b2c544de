"""A shop, as small as one can be that has a database, a cache, a broker, temporary files and a helper program."""

import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = sys.argv[1]
DATA = "/data/shop.db"
SECRET = open("/run/secrets/shop").read().strip()
writing = threading.Lock()


def cache(*words):
    """One command to the store."""
    with socket.create_connection(("store", 6379), 2) as store:
        store.sendall(b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)]))
        return store.recv(4096)


def publish(topic, text):
    """One message to the broker, as MQTT 3.1.1 has it."""
    with socket.create_connection(("broker", 1883), 2) as broker:
        broker.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04shop")
        broker.recv(4)
        body = len(topic).to_bytes(2, "big") + topic + text
        broker.sendall(b"\x30" + bytes([len(body)]) + body + b"\xe0\x00")


def rows(query, *values):
    with writing, sqlite3.connect(DATA) as database:
        return database.execute(query, values).fetchall()


class Shop(BaseHTTPRequestHandler):
    def do_GET(self):
        kind, _, what = self.path.strip("/").partition("/")
        try:
            answer = getattr(self, f"get_{kind}", self.get_health)(what)
        except OSError as error:
            return self.send_error(503, str(error))
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def get_health(self, _):
        return {"version": VERSION}

    def get_item(self, what):
        found = cache(b"GET", what.encode())
        if found.startswith(b"$-1"):
            cache(b"SET", what.encode(), hashlib.sha256(what.encode()).hexdigest().encode())
        return {"item": what}

    def get_order(self, what):
        rows("INSERT INTO orders (item) VALUES (?)", what)
        publish(b"orders", what.encode())
        return {"ordered": what}

    def get_upload(self, what):
        with tempfile.NamedTemporaryFile(dir="/data/uploads", prefix="upload-", delete=False) as file:
            file.write(os.urandom(2048))
        return {"stored": file.name}

    def get_report(self, what):
        with tempfile.NamedTemporaryFile("w", prefix="report-", suffix=".csv") as file:
            file.writelines(f"{n},{item}\n" for n, item in rows("SELECT rowid, item FROM orders ORDER BY rowid DESC LIMIT 100"))
            file.flush()
            return {"bytes": len(subprocess.run(["gzip", "-c", file.name], capture_output=True, check=True).stdout)}

    # What the second version does besides.
    def get_invoice(self, what):
        os.makedirs("/data/invoices", exist_ok=True)
        with open(f"/data/invoices/{what}.txt", "w") as file:
            file.write(SECRET[:2])
        return {"invoice": what}

    def log_message(self, *_):
        pass


os.makedirs("/data/uploads", exist_ok=True)
rows("CREATE TABLE IF NOT EXISTS orders (item TEXT)")
ThreadingHTTPServer(("", 8000), Shop).serve_forever()
