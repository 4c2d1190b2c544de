"""Questions to the agent's HTTP API on its unix socket."""

import http.client
import json
import socket


class _Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("ethogram", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    def __init__(self, path):
        self.path = str(path)
        self.kept = None

    def ask(self, method, path, body=None):
        """The answer's JSON. The connection is kept: a window of a tenth of a second has no time for another. The agent
        closes one that is idle for long, and then it is asked by a new one."""
        if self.kept is not None:
            try:
                return self._ask(method, path, body)
            except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
                pass
        self.kept = _Connection(self.path, 30)
        return self._ask(method, path, body)

    def _ask(self, method, path, body):
        text = None if body is None else json.dumps(body)
        try:
            self.kept.request(method, path, text, {"content-type": "application/json"} if text else {})
            answer = self.kept.getresponse()
            found = answer.read()
        except (OSError, http.client.HTTPException):
            self.kept.close()
            self.kept = None
            raise
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {found.decode(errors='replace')}")
        return json.loads(found) if answer.getheader("content-type", "").startswith("application/json") else found

    def open(self, path):
        """A stream without a reader: close it in the end."""
        connection = _Connection(self.path, 30)
        connection.request("GET", path)
        connection.getresponse()
        return connection

    def follow(self, path, timeout=5):
        """The lines of a stream, until the caller closes it; raises TimeoutError where so many seconds bring none."""
        connection = _Connection(self.path, timeout)
        connection.request("GET", path)
        answer = connection.getresponse()
        try:
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()
