use super::*;

const KEY: &str = "/app/tls.key";

fn finding(severity: Severity, object: &str) -> Finding {
    Finding {
        uid: "u".into(),
        title: "t".into(),
        analytic: "rule.x".into(),
        severity,
        confidence: 90,
        reason: String::new(),
        workload: "web".into(),
        operation: "open".into(),
        executable: "/bin/cat".into(),
        object: object.into(),
        usual: Vec::new(),
        container: None,
        process: None,
        evidence: Vec::new(),
        rule: None,
        score: None,
        techniques: Vec::new(),
        count: 1,
        first_seen_ns: 1,
        last_seen_ns: 1,
    }
}

fn candidate<'a>(severity: Severity, object: &'a str) -> Candidate<'a> {
    Candidate { analytic: "rule.x", workload: "web", executable: "/bin/cat", object, severity }
}

fn accepted(width: Width, for_ns: Option<u64>) -> Acceptances {
    let mut all = Acceptances::default();
    all.accept(Acceptance::of(&finding(Severity::Medium, KEY), width, None, 0, for_ns).unwrap());
    all
}

const ANY: Width = Width { any_object: true, force: false };

#[test]
fn only_what_is_in_scope_is_accepted_and_only_while_it_lasts() {
    let mut all = accepted(Width::default(), Some(100));
    let known = candidate(Severity::Medium, KEY);
    assert!(all.covers(&known, 99));
    for other in [
        Candidate { analytic: "rule.y", ..known },
        Candidate { workload: "api", ..known },
        Candidate { executable: "/bin/dog", ..known },
        Candidate { object: "/etc/shadow", ..known },
        Candidate { object: "/app/other.key", ..known },
        Candidate { object: "", ..known },
    ] {
        assert!(!all.covers(&other, 99), "{other:?}");
    }
    assert!(!all.covers(&known, 100));
    let seen: Vec<_> = all.list().map(|a| (a.matched, a.last_matched_ns, a.last_object.as_deref())).collect();
    assert_eq!(seen, [(1, Some(99), Some(KEY))]);
    all.expire(100);
    assert_eq!(all.list().count(), 0);
    assert_eq!(all.take_changed().values().cloned().collect::<Vec<_>>(), [None]);
}

#[test]
fn what_varies_from_run_to_run_is_the_same_object() {
    let mut all = Acceptances::default();
    let of = finding(Severity::Medium, "/srv/cache/4711001.key");
    all.accept(Acceptance::of(&of, Width::default(), None, 0, None).unwrap());
    assert!(all.covers(&candidate(Severity::Medium, "/srv/cache/4711002.key"), 1));
    assert!(!all.covers(&candidate(Severity::Medium, "/srv/cache/root.key"), 1));
}

#[test]
fn any_object_is_asked_for_and_spares_what_is_severe() {
    let mut all = accepted(ANY, None);
    assert!(all.covers(&candidate(Severity::Medium, "/app/other.key"), 1));
    assert!(!all.covers(&candidate(Severity::High, "/etc/shadow"), 1));
    assert_eq!(all.list().map(|a| a.last_object.as_deref()).collect::<Vec<_>>(), [Some("/app/other.key")]);
    let severe = finding(Severity::High, "/etc/shadow");
    let refused = Acceptance::of(&severe, ANY, None, 0, None).unwrap_err();
    assert!(refused.to_string().starts_with("the alert's severity is high:"), "{refused}");
    let forced = Width { force: true, ..ANY };
    all.accept(Acceptance::of(&severe, forced, None, 0, None).unwrap());
    assert!(all.covers(&candidate(Severity::Critical, "/etc/gshadow"), 1));
    Acceptance::of(&severe, Width::default(), None, 0, None).unwrap();
}

#[test]
fn what_stands_for_many_is_not_accepted_as_one() {
    let many = finding(Severity::Low, "*");
    assert_eq!(Acceptance::of(&many, Width::default(), None, 0, None), Err(TooWide::Many));
    Acceptance::of(&many, ANY, None, 0, None).unwrap();
}

#[test]
fn acceptances_of_earlier_agents_keep_their_meaning() {
    let stored = r#"{"id":"0","analytic":"rule.x","workload":"web","executable":"/bin/cat","title":"t","reason":null,
        "since_ns":1,"until_ns":null,"matched":3}"#;
    let mut earlier: Acceptance = serde_json::from_str(stored).unwrap();
    earlier.id = id("rule.x", "web", "/bin/cat", None);
    assert_eq!(earlier.id, uid::of(["rule.x", "web", "/bin/cat"])[..16]);
    let mut all = Acceptances::default();
    all.restore(earlier);
    assert!(all.covers(&candidate(Severity::High, "/etc/shadow"), 2));
    assert!(!all.covers(&Candidate { executable: "/bin/dog", ..candidate(Severity::High, KEY) }, 2));
}

#[test]
fn what_is_revoked_is_reported_again() {
    let mut all = accepted(Width::default(), None);
    assert!(all.covers(&candidate(Severity::Medium, KEY), u64::MAX));
    let id = all.list().next().map(|a| a.id.clone()).unwrap_or_default();
    all.revoke(&id);
    assert!(!all.covers(&candidate(Severity::Medium, KEY), 1));
}
