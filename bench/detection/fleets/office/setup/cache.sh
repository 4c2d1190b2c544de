mkdir -p /var/run/memcached
