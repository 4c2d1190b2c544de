for name in anna bert carla; do
    useradd --create-home --shell /bin/bash $name
    mkdir -m 700 /home/$name/.ssh
    printf 'minutes of %s\n' $name >/home/$name/notes.txt
    chown -R $name:$name /home/$name
done
echo 'carla ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/carla
chmod 440 /etc/sudoers.d/carla
mkdir -p /run/sshd /srv/reports
chown anna:anna /srv/reports
ssh-keygen -A
