useradd --system --home-dir /srv/api --shell /usr/sbin/nologin api
mkdir -p /srv/api/data
chown -R api:api /srv/api
