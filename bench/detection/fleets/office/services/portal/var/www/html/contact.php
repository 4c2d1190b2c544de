<?php
$mail = fsockopen('mail', 25, $code, $message, 2);
$subject = preg_replace('/[^ -~]/', '', $_POST['subject'] ?? 'question');
fgets($mail);
foreach (["HELO portal", 'MAIL FROM:<portal@office.example>', 'RCPT TO:<bert@office.example>', 'DATA', "Subject: $subject\r\n\r\nhello\r\n.", 'QUIT'] as $line) {
    fwrite($mail, "$line\r\n");
    fgets($mail);
}
echo 'sent';
