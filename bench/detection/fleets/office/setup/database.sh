at=$(echo /etc/postgresql/*/main)
version=$(basename "$(dirname "$at")")
cat >"$at/conf.d/office.conf" <<'CONF'
listen_addresses = '*'
autovacuum_naptime = 10s
logging_collector = on
log_directory = '/var/log/postgresql'
log_filename = 'postgresql.log'
log_min_duration_statement = 500
CONF
printf 'host all all 172.31.78.0/24 scram-sha-256\n' >>"$at/pg_hba.conf"
pg_ctlcluster "$version" main start
su postgres -c psql <<'SQL'
-- As many a portal's is: nobody took the rights away that it was installed with.
CREATE ROLE portal LOGIN SUPERUSER PASSWORD 'spring-2026';
CREATE ROLE reports LOGIN PASSWORD 'quarterly';
CREATE DATABASE office OWNER portal;
\c office
CREATE TABLE documents (id serial PRIMARY KEY, title text, body text, changed timestamptz DEFAULT now());
CREATE TABLE visits (id serial PRIMARY KEY, page text, at timestamptz DEFAULT now());
CREATE TABLE salaries (name text, iban text, amount int);
INSERT INTO documents (title, body) SELECT 'document ' || n, repeat('text ', 50 + n) FROM generate_series(1, 200) n;
INSERT INTO salaries SELECT 'person ' || n, 'DE' || n, 3000 + n FROM generate_series(1, 300) n;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reports;
GRANT pg_read_all_data TO reports;
SQL
pg_ctlcluster "$version" main stop
rm -f /var/log/postgresql/*
mkdir -p /var/lib/postgresql/.ssh /var/run/postgresql
chown postgres:postgres /var/lib/postgresql/.ssh /var/run/postgresql
