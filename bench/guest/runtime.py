"""As much of Docker's API as the agent needs to know what the service's cgroups run: no Docker runs in a guest, and only a container whose image is
known has a profile."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

SOCKET = Path("/run/docker.sock")


class Runtime:
    """Answers until it is left. Containers are image by id."""

    def __init__(self, images):
        SOCKET.parent.mkdir(parents=True, exist_ok=True)
        self.server = _Server(str(SOCKET), _Handler)
        self.server.images = images
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
        images, path = self.server.images, self.path.partition("?")[0]
        if path == "/events":  # Nothing ever happens.
            self._begin("200 OK")
            threading.Event().wait()
        elif path == "/containers/json":
            self._answer([{"Id": id, "Names": [f"/{_name(id, image)}"]} for id, image in images.items()])
        elif image := images.get(path.removeprefix("/containers/").removesuffix("/json")):
            id = path.split("/")[2]
            self._answer({"Id": id, "Name": f"/{_name(id, image)}", "Image": f"sha256:{image}", "Path": "/nginx", "Config": {"Image": image}})
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


def _name(id, image):
    return f"{image}-{int(id, 16)}"
