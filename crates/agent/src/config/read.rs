//! Reads the configuration file and finds, for whatever is wrong in it, the key and the line.

use std::{ops::Range, path::Path};

use ethogram_model::{nearest::nearest, render::escape};
use toml::de::{DeTable, DeValue, Deserializer};

use super::{Config, ConfigError, keys::NAME};
use crate::files;

/// No configuration is longer, in bytes: whatever is, is another file.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn file(path: &Path) -> Result<Config, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    text(path, &files::read_text(path, MAX_BYTES).map_err(unreadable)?)
}

pub(super) fn text(path: &Path, text: &str) -> Result<Config, ConfigError> {
    parse(text).map_err(|p| ConfigError::Wrong {
        path: path.to_owned(),
        line: p.at.map(|at| line_of(text, at)),
        // Keys may be quoted, and have anything in them.
        what: escape(&p.what).into_owned(),
    })
}

/// What is wrong, and at which byte of the text.
struct Problem {
    at: Option<usize>,
    what: String,
}

fn parse(text: &str) -> Result<Config, Problem> {
    let plain = |e: &toml::de::Error| e.message().trim().replace('\n', ", ");
    let table = DeTable::parse(text).map_err(|e| Problem { at: e.span().map(|s| s.start), what: plain(&e) })?;
    let table = table.get_ref();

    let mut unknown = Vec::new();
    let config = Deserializer::parse(text)
        .and_then(|d| serde_ignored::deserialize(d, |path| unknown.push(path.to_string())))
        .map_err(|e| match e.span().and_then(|span| key_at(table, &span)) {
            Some(key) => {
                let hint = if is_known(&key) { String::new() } else { suggestion(&key) };
                Problem { at: e.span().map(|s| s.start), what: format!("{key}: {}{hint}", plain(&e)) }
            }
            None => Problem { at: e.span().map(|s| s.start), what: plain(&e) },
        })?;
    if let Some(key) = unknown.first() {
        let what = format!("unknown key `{key}`{}", suggestion(key));
        return Err(Problem { at: place_of(table, key).map(|s| s.start), what });
    }
    Config::check(&config)
        .map_err(|(key, what)| Problem { at: place_of(table, key).map(|s| s.start), what: format!("{key} {what}") })?;
    Ok(config)
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count()
}

/// The dotted key of the innermost value or key that holds the span.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let within = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    table.iter().find_map(|(key, value)| {
        let name = key.get_ref();
        // A table's own span may be its header alone, so its keys are looked through first.
        if let DeValue::Table(inner) = value.get_ref()
            && let Some(rest) = key_at(inner, span)
        {
            return Some(format!("{name}.{rest}"));
        }
        (within(key.span()) || within(value.span())).then(|| name.to_string())
    })
}

/// Where a dotted key stands.
fn place_of(table: &DeTable<'_>, dotted: &str) -> Option<Range<usize>> {
    table.iter().find_map(|(key, value)| {
        let rest = dotted.strip_prefix(key.get_ref().as_ref())?;
        match (rest.strip_prefix('.'), value.get_ref()) {
            (None, _) if rest.is_empty() => Some(key.span()),
            (Some(rest), DeValue::Table(inner)) => place_of(inner, rest),
            (Some(rest), DeValue::Array(list)) => {
                let (index, rest) = rest.split_once('.')?;
                match list.get(index.parse::<usize>().ok()?)?.get_ref() {
                    DeValue::Table(inner) => place_of(inner, rest),
                    _ => None,
                }
            }
            _ => None,
        }
    })
}

/// All keys there are, dotted, from the schema: sections and what is in them. Where the user chooses a name, the keys
/// have the one that stands there in `key`.
fn known_for(key: &str) -> Vec<String> {
    let with_name = |known: String| {
        let parts = known.split('.').zip(key.split('.').map(Some).chain(std::iter::repeat(None)));
        parts
            .map(|(part, chosen)| if part == NAME { chosen.unwrap_or(part) } else { part })
            .collect::<Vec<_>>()
            .join(".")
    };
    known().into_iter().map(with_name).collect()
}

fn known() -> Vec<String> {
    fn collect(schema: &serde_json::Value, prefix: &str, out: &mut Vec<String>) {
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let key = format!("{prefix}{name}");
            collect(inner, &format!("{key}."), out);
            collect(&inner["additionalProperties"], &format!("{key}.{NAME}."), out);
            collect(&inner["items"], &format!("{key}."), out);
            out.push(key);
        }
    }
    let mut out = Vec::new();
    collect(&Config::json_schema(), "", &mut out);
    out
}

fn is_known(key: &str) -> bool {
    known_for(key).iter().any(|k| k == key) || key.strip_prefix("trackers.").is_some_and(|rest| rest.contains('.'))
}

/// `, did you mean ...?`, where a key is alike. What stands in the wrong section is looked for in the others first.
fn suggestion(key: &str) -> String {
    // Which entry of a list it stands in does not matter here.
    let key = &key.split('.').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join(".");
    let leaf = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let depth = key.matches('.').count();
    let (same_depth, others): (Vec<_>, Vec<_>) =
        known_for(key).into_iter().partition(|known| known.matches('.').count() == depth);
    let mut elsewhere = same_depth.iter().chain(&others).filter(|known| leaf(known) == leaf(key));
    let likest = elsewhere.next().cloned().or_else(|| nearest(key, same_depth.iter()).into_iter().next());
    likest.map_or_else(String::new, |likest| format!(", did you mean `{likest}`?"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.toml");
        std::fs::write(&path, text).unwrap();
        let message = file(&path).unwrap_err().to_string();
        assert!(!message.contains('\n'), "more than one line: {message}");
        message.strip_prefix(&path.display().to_string()).unwrap_or(&message).to_owned()
    }

    #[test]
    fn nothing_set_is_all_defaults() {
        let config = parse("").ok().unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.behaviour.learning_period.to_string(), "24h");
        assert_eq!(config.metrics.listen.unwrap().to_string(), "127.0.0.1:8528");
    }

    #[test]
    fn the_old_name_of_the_budget_counts_and_is_written_nowhere() {
        let budget = |text: &str| parse(text).ok().unwrap().model_settings().incidents_per_day;
        assert_eq!((budget(""), budget("[incidents]\nper_day = 3\n")), (1, 3));
        assert_eq!(budget("[behaviour]\nalerts_per_day = 5\n"), 5);
        let all = toml::to_string(&Config::default()).unwrap();
        assert!(!all.contains("alerts_per_day") && all.contains("per_day = 1"), "{all}");
    }

    #[test]
    fn what_is_set_counts_and_the_rest_stays() {
        let text = "[behaviour]\nlearning_period = '20s'\n[metrics]\nlisten = ''\n[trackers]\nenabled = ['open']\n\
                    [trackers.tcp]\nmin_ms = 5\nipv6 = false\n";
        let config = parse(text).ok().unwrap();
        assert_eq!(config.behaviour.learning_period.get().as_secs(), 20);
        assert_eq!(config.metrics.listen, None);
        assert_eq!(config.trackers.enabled, Some(vec!["open".to_owned()]));
        assert_eq!(config.trackers.params["tcp"]["min_ms"].0, "5");
        assert_eq!(config.trackers.params["tcp"]["ipv6"].0, "false");
        assert_eq!(config.store, Config::default().store);
    }

    #[test]
    fn loopback_needs_no_tls_and_what_is_read_by_all_is_known() {
        let api = |listen: &str, more: &str| format!("[api]\nlisten = '{listen}'\ntoken_file = '/t'\n{more}");
        assert!(parse(&api("127.0.0.2:1", "")).is_ok() && parse(&api("[::ffff:127.0.0.1]:1", "")).is_ok());
        let tls = "tls = { certificate = '/c', key = '/k' }\n";
        assert!(parse(&api("0.0.0.0:1", tls)).is_ok());
        let exposed = |text: &str| parse(&format!("[metrics]\n{text}")).ok().unwrap().metrics.are_exposed();
        assert!(exposed("listen = '0.0.0.0:1'") && exposed("listen = '[::]:1'"));
        assert!(!exposed("listen = '[::1]:1'") && !exposed("listen = ''"));
        assert!(!exposed("listen = '0.0.0.0:1'\ninsecure = true"));
        assert!(!exposed(&format!("listen = '0.0.0.0:1'\n{tls}")));
    }

    #[test]
    fn what_a_key_was_called_before_is_understood() {
        let config = parse("[trackers]\nthorough = ['dns']\n").ok().unwrap();
        assert!(config.trackers.has_high_overhead("dns"));
        assert_eq!(parse("[trackers]\nhigh_overhead = ['dns']\n").ok().unwrap(), config);
    }

    #[test]
    fn defaults_written_out_are_read_back() {
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(parse(&text).ok().unwrap(), Config::default());
    }

    #[test]
    fn unknown_keys_are_named_with_line_and_nearest() {
        for (text, wanted) in [
            (
                "[behaviour]\n\nlearning_perod = '20s'",
                ", line 3: unknown key `behaviour.learning_perod`, did you mean `behaviour.learning_period`?",
            ),
            ("\n[behavior]\nlearning_period = '1s'", ", line 2: unknown key `behavior`, did you mean `behaviour`?"),
            ("socket = '/x'", ", line 1: unknown key `socket`, did you mean `api.socket`?"),
            ("api.sokcet = '/x'", ", line 1: unknown key `api.sokcet`, did you mean `api.socket`?"),
            ("[api]\nqqq = 1", ", line 2: unknown key `api.qqq`"),
            (
                "[alerts.webhook.siem]\nurl = 'http://a/'\nfromat = 'falco'",
                ", line 3: unknown key `alerts.webhook.siem.fromat`, did you mean `alerts.webhook.siem.format`?",
            ),
            (
                "[alerts.webhok.siem]\nurl = 'http://a/'",
                ", line 1: unknown key `alerts.webhok`, did you mean `alerts.webhook`?",
            ),
            ("api.\"a\\nb\\u001b[0m\" = 1", ", line 1: unknown key `api.a\\nb\\u{1b}[0m`"),
            (
                "[[response.action]]\nrule = 'x'\ndo = 'kill'\n[[response.action]]\ntag = 'y'\ndo = 'kill'\nseverty = 'low'",
                ", line 7: unknown key `response.action.1.severty`, did you mean `response.action.severity`?",
            ),
        ] {
            let message = error(text);
            assert!(message.contains(wanted), "{message}\nwanted {wanted}");
        }
    }

    #[test]
    fn wrong_types_are_named_with_line_and_what_is_expected() {
        for (text, wanted) in [
            ("[behaviour]\nlearning_period = 20", &["line 2: behaviour.learning_period", "expected a duration"][..]),
            (
                "[behaviour]\nlearning_period = 'soon'",
                &["line 2: behaviour.learning_period", "\"soon\" is not a duration"],
            ),
            ("[collection]\nhost = 'yes'", &["line 2: collection.host", "expected a boolean"]),
            ("[collection]\nring_bytes = 5000", &["line 2: collection.ring_bytes", "power of two"]),
            ("[collection]\nring_bytes = -1", &["line 2: collection.ring_bytes"]),
            ("[metrics]\nlisten = 'here'", &["line 2: metrics.listen", "127.0.0.1:8528"]),
            ("[api]\nlisten = '127.0.0.1:1'", &["line 2: api.listen", "api.token_file"]),
            ("[api]\nlisten = '0.0.0.0:1'\ntoken_file = '/t'", &["line 2: api.listen", "needs [api.tls]"]),
            ("[api]\nlisten = '[2001:db8::1]:1'\ntoken_file = '/t'", &["line 2: api.listen", "needs [api.tls]"]),
            ("[api.tls]\nkey = '/k'", &["line 1: api.tls", "missing field `certificate`"]),
            ("[trackers]\nenabeld = ['x']", &["line 2: trackers.enabeld", "did you mean `trackers.enabled`?"]),
            ("[trackers.tcp]\na = []", &["line 2: trackers.tcp.a", "expected a whole number, true or false"]),
            ("[alerts.webhook.siem]\nurl = 'siem'", &["line 2: alerts.webhook.siem.url", "not a URL such as"]),
            ("[alerts.webhook.siem]\n", &["line 1: alerts.webhook.siem", "missing field `url`"]),
            ("[alerts.webhook.'a/b']\nurl = 'http://a/'", &["line 1: alerts.webhook.a/b", "no name for a receiver"]),
            ("[alerts.syslog.x]\naddress = 'udp:514'", &["line 2: alerts.syslog.x.address", "udp://127.0.0.1:514"]),
            (
                "[alerts.otlp.x]\nendpoint = 'http://a/'\nseverity = 'bad'",
                &["line 3: alerts.otlp.x.severity", "`high`"],
            ),
            ("[alerts]\nseverity = 'bad'", &["line 2: alerts.severity", "`informational`"]),
            ("[alerts]\nspool_max_bytes = 1", &["line 2: alerts.spool_max_bytes", "at least 65536"]),
            ("[triage]\nurl = 'http://127.0.0.1:11434'", &["line 2: triage.url", "needs triage.model"]),
            ("[triage]\nmodell = 'x'", &["line 2: unknown key `triage.modell`, did you mean `triage.model`?"]),
            ("[triage]\nurl = '127.0.0.1:11434'\nmodel = 'x'", &["line 2: triage.url", "not a URL such as"]),
            ("[triage]\nmodel = ''", &["line 2: triage.model", "from 1 to 128 characters"]),
            ("[triage]\ntimeout = '1h'", &["line 2: triage.timeout", "from 1s to 10m"]),
            ("[triage]\nper_hour = 0", &["line 2: triage.per_hour", "from 1 to 10000"]),
            ("[triage]\nseverity = 'bad'", &["line 2: triage.severity", "`high`"]),
            ("[triage.headers]\nHost = 'x'", &["triage.headers", "cannot be set"]),
            ("api = 3", &["line 1: api", "expected"]),
            ("[api\n", &["line 1"]),
            ("[api]\nsocket = '/a'\nsocket = '/b'", &["line 3", "duplicate"]),
        ] {
            let message = error(text);
            for part in wanted {
                assert!(message.contains(part), "{message}\nwanted {part}");
            }
        }
    }

    #[test]
    fn unreadable_files_are_named_with_the_reason() {
        let message = file(Path::new("/nonexistent/e.toml")).unwrap_err().to_string();
        assert_eq!(
            message,
            "cannot read the configuration /nonexistent/e.toml: No such file or directory (os error 2)"
        );
        assert!(file(Path::new("/proc/self")).unwrap_err().to_string().contains("/proc/self: Is a directory"));
        assert!(error("\0\0\0").contains("line 1"));
        assert!(file(Path::new("/dev/zero")).unwrap_err().to_string().contains("longer than 1 MiB"));
    }

    #[test]
    fn every_key_is_described() {
        let schema = Config::json_schema();
        for key in known() {
            let described = key.split('.').try_fold(&schema, |at, name| {
                let inner = if name == NAME { &at["additionalProperties"] } else { &at["properties"][name] };
                let inner = if inner.is_null() { &at["items"]["properties"][name] } else { inner };
                (!inner.is_null()).then_some(inner)
            });
            assert!(described.is_some_and(|it| it["description"].is_string()), "{key} has no description");
        }
    }
}
