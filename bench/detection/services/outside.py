"""What lies outside of the fleet: the attacker's machine, a pool of miners, the cloud's metadata service. Runs in the network of the
container that is attacked, whose loopback has their addresses: nothing leaves this machine."""

import selectors
import socket
import sys

PAYLOAD = open(sys.argv[1], "rb").read()
LISTENERS = [(host, port) for host in ("203.0.113.66",) for port in (80, 443, 3333, 4444)] + [("169.254.169.254", 80)]
COMMANDS = b"id\nuname -a\ncat /etc/passwd\nexit\n"


def answer(port, connection):
    if port == 4444:
        connection.sendall(COMMANDS)
    elif port == 3333:
        connection.sendall(b'{"id":1,"result":{"job":{"blob":"00"}}}\n')
    elif port == 80:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAYLOAD) + PAYLOAD)
    connection.settimeout(0.2)
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass


selector = selectors.DefaultSelector()
for host, port in LISTENERS:
    listener = socket.create_server((host, port))
    selector.register(listener, selectors.EVENT_READ, port)
print("ready", flush=True)
while True:
    for key, _ in selector.select():
        connection, _ = key.fileobj.accept()
        with connection:
            try:
                answer(key.data, connection)
            except OSError:
                pass
