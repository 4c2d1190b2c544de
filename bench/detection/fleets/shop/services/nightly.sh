find /data -name 'report-*.gz' -mmin +2 -exec rm -f {} \;
ls /data | wc -l >>/var/log/worker.log
tar -cf /data/week.tar /var/log && mv /var/log/worker.log /var/log/worker.log.1
