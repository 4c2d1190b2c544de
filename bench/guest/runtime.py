"""As much of Docker's API as the agent needs to know what cgroups run: no Docker runs in a guest, and only a container whose image is known has a
profile."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

SOCKET = Path("/run/docker.sock")


class Runtime:
    """Answers until it is left. `containers` gives those that there are, each as Docker describes it."""

    def __init__(self, containers):
        SOCKET.parent.mkdir(parents=True, exist_ok=True)
        self.server = _Server(str(SOCKET), _Handler)
        self.server.containers = containers
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        SOCKET.unlink()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/events":  # None are told: the agent finds new containers by their cgroups.
            self._begin("200 OK")
            threading.Event().wait()
        containers = self.server.containers()
        if path == "/containers/json":
            self._answer([{"Id": one["Id"], "Names": [one["Name"]]} for one in containers])
        elif found := [one for one in containers if path == f"/containers/{one['Id']}/json"]:
            self._answer(found[0])
        else:
            self._begin("404 Not Found")

    def _begin(self, status, length=0):
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self.wfile.write((head + (f"Content-Length: {length}\r\n" if length else "") + "\r\n").encode())
        self.close_connection = True

    def _answer(self, found):
        body = json.dumps(found).encode()
        self._begin("200 OK", len(body))
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"
