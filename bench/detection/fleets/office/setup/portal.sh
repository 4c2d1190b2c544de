rm -f /var/www/html/index.html
mkdir -p /var/www/html/uploads /var/run/apache2
chown www-data:www-data /var/www/html/uploads
# Of its own address alone: the bench needs the same port at others.
printf 'Listen 172.31.78.3:80\n' >/etc/apache2/ports.conf
printf 'ServerName portal\n' >/etc/apache2/conf-enabled/name.conf
