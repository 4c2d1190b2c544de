for name in anna bert carla; do useradd --create-home --shell /bin/bash $name; done
cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf
cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf
postconf -e compatibility_level=3.6 myhostname=mail.office.example 'mydestination=office.example, mail.office.example, localhost' \
    'mynetworks=127.0.0.0/8 172.31.78.0/24' inet_interfaces=127.0.0.1 inet_protocols=ipv4 alias_maps=hash:/etc/aliases \
    alias_database=hash:/etc/aliases maillog_file=/var/log/mail.log smtputf8_enable=no \
    smtpd_peername_lookup=no
# The bench preloads a library into every service.
postconf -e "import_environment=$(postconf -hd import_environment) LD_PRELOAD"
postconf -F '*/*/chroot = n'
printf 'postmaster: root\nroot: anna\ntickets: "|/usr/local/bin/ticket"\n' >/etc/aliases
newaliases
# Of its own address alone, which is there once it runs: the bench needs the same port at others.
postconf -e 'inet_interfaces=172.31.78.7, 127.0.0.1'
mkdir -p /var/spool/tickets
chown nobody:nogroup /var/spool/tickets
