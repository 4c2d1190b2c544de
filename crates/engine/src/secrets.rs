//! Values of arguments and of environment variables that look like secrets are masked before anything else sees them.

use ethogram_model::Event;

/// Names that make what follows them a secret.
const NAMES: [&[u8]; 9] =
    [b"password", b"passwd", b"passphrase", b"secret", b"token", b"api-key", b"api_key", b"apikey", b"private-key"];
/// The field whose texts are variables and not arguments.
const ENVIRONMENT: &str = "process.environment_variables";
/// What a masked byte becomes. Lengths stay: they are part of the behaviour.
const MASK: u8 = b'*';

/// Masks secrets in all arguments and variables of an event, where they lie in its record.
pub fn mask_event(event: &mut Event) {
    let Event { schema, record, .. } = event;
    for field in schema.layout().args.iter().filter_map(|at| schema.fields.get(*at)) {
        let reference = record.get(field.offset..).and_then(|r| r.get(..4));
        let Some(&[o0, o1, l0, l1]) = reference else { continue };
        let (offset, length) = (usize::from(u16::from_le_bytes([o0, o1])), usize::from(u16::from_le_bytes([l0, l1])));
        if let Some(texts) = record.get_mut(offset..).and_then(|r| r.get_mut(..length)) {
            if field.name == ENVIRONMENT { mask_environment(texts) } else { mask(texts) }
        }
    }
}

/// Masks secrets in NUL-separated arguments, in place: `--password=x`, `--token x`, `SECRET=x`, `user:x@host` in a
/// URL, and what follows `Bearer` or `Basic`.
pub fn mask(args: &mut [u8]) {
    let mut secret_follows = false;
    for arg in args.split_mut(|b| *b == 0) {
        if std::mem::take(&mut secret_follows) && !arg.starts_with(b"-") {
            arg.fill(MASK);
            continue;
        }
        if let Some(equals) = arg.iter().position(|b| *b == b'=') {
            if is_secret_name(&arg[..equals]) {
                arg[equals + 1..].fill(MASK);
                continue;
            }
        } else if arg.starts_with(b"-") && is_secret_name(arg) {
            secret_follows = true;
        }
        mask_value(arg);
    }
}

/// Masks secrets in NUL-separated environment variables, in place. Stricter than [`mask`]: a variable's name is often
/// all that shows what its value is for.
pub fn mask_environment(variables: &mut [u8]) {
    for variable in variables.split_mut(|b| *b == 0) {
        match variable.iter().position(|b| *b == b'=') {
            Some(equals) if is_secret_variable(&variable[..equals]) => variable[equals + 1..].fill(MASK),
            _ => mask_value(variable),
        }
    }
}

/// What is secret by its own form: a URL's password, and what a header authorizes with.
fn mask_value(text: &mut [u8]) {
    mask_url(text);
    for scheme in [&b"bearer "[..], b"basic "] {
        if let Some(at) = find(text, scheme) {
            text[at + scheme.len()..].fill(MASK);
        }
    }
}

/// Whether a variable's name speaks of a secret, and not of where one lies.
fn is_secret_variable(name: &[u8]) -> bool {
    let ends = |end: &[u8]| name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end);
    let speaks = NAMES.iter().any(|n| find(name, n).is_some());
    let ends_so = [&b"key"[..], b"_key_id", b"_pass", b"_pwd", b"_auth", b"credential", b"credentials"];
    let is_place = [&b"_file"[..], b"_path", b"_dir"].iter().any(|end| ends(end));
    (speaks || ends_so.iter().any(|end| ends(end))) && !is_place
}

/// Whether a name ends in one of [`NAMES`]: `--db-password` does, `--token-file` does not, its value is no secret.
fn is_secret_name(name: &[u8]) -> bool {
    NAMES.iter().any(|n| name.len() >= n.len() && name[name.len() - n.len()..].eq_ignore_ascii_case(n))
}

/// The password of `scheme://user:password@host`.
fn mask_url(arg: &mut [u8]) {
    let Some(authority) = find(arg, b"://").map(|at| at + 3) else { return };
    let end = arg[authority..].iter().position(|b| *b == b'/').map_or(arg.len(), |n| authority + n);
    let Some(at) = arg[authority..end].iter().rposition(|b| *b == b'@').map(|n| authority + n) else { return };
    if let Some(colon) = arg[authority..at].iter().position(|b| *b == b':') {
        arg[authority + colon + 1..at].fill(MASK);
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|w| w.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(args: &str) -> String {
        let mut bytes = args.replace(' ', "\0").replace('_', " ").into_bytes();
        mask(&mut bytes);
        String::from_utf8_lossy(&bytes).replace(' ', "_").replace('\0', " ")
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

    #[test]
    fn secrets_are_masked_and_their_neighbours_are_not() {
        for (args, expected) in [
            ("mysql --password=hunter2 -u root", "mysql --password=******* -u root"),
            ("curl --token abc x", "curl --token *** x"),
            ("env DB-PASSWORD=abc sh", "env DB-PASSWORD=*** sh"),
            ("app --token-file /run/t", "app --token-file /run/t"),
            ("app --password --verbose", "app --password --verbose"),
            ("psql postgres://me:abc@db/x", "psql postgres://me:***@db/x"),
            ("curl http://host:80/a@b", "curl http://host:80/a@b"),
            ("curl -H Authorization:_Bearer_abc", "curl -H Authorization:_Bearer_***"),
            ("ls /etc/passwd", "ls /etc/passwd"),
        ] {
            assert_eq!(masked(args), expected);
        }
    }
}
