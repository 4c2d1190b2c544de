"""As much of Docker's API as the agent asks for, from the folders that `docker` beside this file keeps."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

CONTAINERS = Path("/run/containers")
SOCKET = Path("/var/run/docker.sock")


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/events":  # New containers are found by their cgroups.
            self._begin("200 OK")
            threading.Event().wait()
        elif path == "/containers/json":
            self._answer([{"Id": one["Id"], "Names": [one["Name"]]} for one in containers()])
        elif found := [one for one in containers() if path == f"/containers/{one['Id']}/json"]:
            self._answer(found[0])
        else:
            self._begin("404 Not Found")

    def _begin(self, status, length=0):
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        self.wfile.write((head + (f"Content-Length: {length}\r\n" if length else "") + "\r\n").encode())
        self.wfile.flush()
        self.close_connection = True

    def _answer(self, found):
        body = json.dumps(found).encode()
        self._begin("200 OK", len(body))
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


def containers():
    found = []
    for folder in CONTAINERS.iterdir():
        try:
            one = json.loads((folder / "api.json").read_text())
            pid = int((folder / "pid").read_text())
        except (OSError, ValueError):  # On its way, or not started.
            continue
        found.append(one | {"State": {"Pid": pid, "StartedAt": "2026-01-01T00:00:00Z"}, "Mounts": mounts(folder)})
    return found


def mounts(folder):
    """Those that were asked for."""
    asked = [m for m in json.loads((folder / "config.json").read_text())["mounts"] if m["type"] == "bind"]
    return [
        {"Type": "bind", "Source": m["source"], "Destination": m["destination"], "Mode": "", "RW": "ro" not in m["options"], "Propagation": "rprivate"}
        for m in asked
    ]


if __name__ == "__main__":
    CONTAINERS.mkdir(parents=True, exist_ok=True)
    Server(str(SOCKET), Handler).serve_forever()
