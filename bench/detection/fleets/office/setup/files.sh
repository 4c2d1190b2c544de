for name in reports scans; do
    useradd --create-home --home-dir /srv/ftp/$name --shell /bin/bash $name
    mkdir -p /srv/ftp/$name/incoming
done
printf 'reports:quarterly\nscans:paper-tray\n' | chpasswd
for n in $(seq 30); do head -c 4000 /dev/urandom | base64 >/srv/ftp/scans/scan-$n.pdf; done
mkdir /srv/ftp/reports/payroll
for n in $(seq 6); do head -c 2000 /dev/urandom | base64 >/srv/ftp/reports/payroll/2026-0$n.csv; done
chown -R reports:reports /srv/ftp/reports
chown -R scans:scans /srv/ftp/scans
mkdir -p /var/run/vsftpd/empty
