# A container has no login number of its own to set, so sessions need not fail for that.
sed -i 's/^session *required *pam_loginuid.so/session optional pam_loginuid.so/' /etc/pam.d/* 2>/dev/null || true
