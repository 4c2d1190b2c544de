"""What lies outside of the fleet: the attacker's machine, a pool of miners, the cloud's metadata service. Runs in the network of the
container that is attacked, whose loopback has their addresses: nothing leaves this machine."""

import selectors
import socket
import sys

PAYLOAD = open(sys.argv[1], "rb").read()
SCRIPT = b"id\nuname -a\nhead -n 3 /etc/passwd\n"
LISTENERS = [("203.0.113.66", int(port)) for port in sys.argv[2:]] + [("169.254.169.254", 80)]
COMMANDS = b"id\nuname -a\ncat /etc/passwd\nexit\n"
MAIL, NAMES = 25, 53


def answer(port, connection):
    if port == MAIL:
        return take_mail(connection)
    if port == 4444:
        connection.sendall(COMMANDS)
    elif port == 3333:
        connection.sendall(b'{"id":1,"result":{"job":{"blob":"00"}}}\n')
    elif port == 80:
        content = SCRIPT if b".sh " in connection.recv(4096) else PAYLOAD
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)
    connection.settimeout(0.2)
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass


def take_mail(connection):
    """As much of a mail server as a mail needs."""
    connection.settimeout(0.5)
    lines, in_text = connection.makefile("rb"), False
    connection.sendall(b"220 strange\r\n")
    for line in lines:
        word = line[:4].upper().strip()
        if in_text:
            in_text = line != b".\r\n"
            if in_text:
                continue
        connection.sendall({b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}.get(word, b"250 ok\r\n"))
        in_text = word == b"DATA"
        if word == b"QUIT":
            return


selector = selectors.DefaultSelector()
for host, port in LISTENERS:
    if port == NAMES:
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind((host, port))
    else:
        listener = socket.create_server((host, port))
    selector.register(listener, selectors.EVENT_READ, port)
print("ready", flush=True)
while True:
    for key, _ in selector.select():
        if key.data == NAMES:
            question, asker = key.fileobj.recvfrom(512)
            # There is no such name.
            key.fileobj.sendto(question[:2] + b"\x81\x83" + question[4:], asker)
            continue
        connection, _ = key.fileobj.accept()
        with connection:
            try:
                answer(key.data, connection)
            except OSError:
                pass
