mkdir -p /run/haproxy /var/lib/haproxy/run
chown haproxy:haproxy /run/haproxy
chmod 1777 /var/lib/haproxy/run
