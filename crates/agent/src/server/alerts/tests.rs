use ethogram_detect::FindingUpdate;
use ethogram_model::{Finding, Severity, StoredFinding};
use serde_json::json;

use super::{
    book::{AlertBook, PAGE_BYTES, Unsaved},
    shares::Bounds,
};
use crate::api::{AlertFilter, AlertPage, Cursor, tests::finding};

fn alert(n: u64, workload: &str, severity: Severity) -> Finding {
    Finding { workload: workload.into(), ..finding(n, severity) }
}

fn uids(book: &AlertBook) -> Vec<String> {
    book.by_time.iter().map(|(_, uid)| uid.to_string()).collect()
}

fn all(limit: usize, before: Option<Cursor>) -> AlertFilter {
    AlertFilter { limit, before, ..AlertFilter::default() }
}

#[test]
fn a_flood_gives_way_itself_and_keeps_what_is_first_and_severest() {
    let mut book = AlertBook::with_bounds(Bounds { count: 64, bytes: usize::MAX });
    book.raise(&alert(1, "web", Severity::Low));
    book.raise(&alert(2, "flood", Severity::Low));
    book.raise(&alert(3, "flood", Severity::High));
    (10..2_000).for_each(|n| book.raise(&alert(n, "flood", Severity::Low)));
    let kept = uids(&book);
    assert!(kept.len() <= 64 && kept.len() > 55, "{}", kept.len());
    for uid in ["f1", "f2", "f3", "f1999"] {
        assert!(kept.contains(&uid.to_owned()), "{uid}: {kept:?}");
    }
    assert!(!kept.contains(&"f10".to_owned()));
    // A workload that has few of its own has all of them, whatever else comes.
    book.raise(&alert(3_000, "web", Severity::Informational));
    assert!(uids(&book).contains(&"f3000".to_owned()));
    let Unsaved { alerts, gone } = book.take_unsaved();
    assert_eq!(alerts.len(), book.by_uid.len());
    assert!(gone.contains(&(10, "f10".into())) && !gone.contains(&(1, "f1".into())));
}

#[test]
fn bytes_are_bounded_as_well_as_numbers() {
    let large = |n| Finding { evidence: vec![json!("x".repeat(5_000))], ..alert(n, "flood", Severity::High) };
    let mut book = AlertBook::with_bounds(Bounds { count: usize::MAX, bytes: 200_000 });
    book.raise(&alert(1, "web", Severity::Low));
    (2..500).for_each(|n| book.raise(&large(n)));
    let bytes: usize = book.by_uid.values().map(|entry| entry.whole.bytes()).sum();
    assert!(bytes <= 200_000 && bytes > 100_000, "{bytes}");
    assert!(book.find("f1").is_some());
    // Evidence that comes later counts, too, and no event is larger than it may be.
    let huge = json!({ "event": "exec", "text": "x".repeat(100_000) });
    let evidence = vec![huge; 9];
    book.update(FindingUpdate { uid: "f1".into(), count: 10, last_seen_ns: 99, evidence });
    let known = book.find("f1").unwrap();
    assert_eq!((known.count, known.last_seen_ns, known.evidence.len()), (10, 99, Finding::MAX_EVIDENCE));
    assert!(known.evidence.iter().all(|event| event["cut"] == true));
}

#[test]
fn pages_follow_one_another_and_miss_none() {
    let mut book = AlertBook::default();
    (0..10).for_each(|n| book.raise(&Finding { first_seen_ns: n / 3, ..alert(n, "web", Severity::Low) }));
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let AlertPage { alerts, next } = book.list(&all(4, before.take()));
        assert!(alerts.len() <= 4);
        seen.extend(alerts.iter().rev().map(|alert| alert.read().unwrap().uid));
        let Some(next) = next else { break };
        let text = next.to_string();
        assert_eq!(text.parse(), Ok(next.clone()));
        before = Some(next);
    }
    let mut wanted = uids(&book);
    wanted.reverse();
    assert_eq!(seen, wanted);
}

#[test]
fn a_page_is_bounded_in_bytes() {
    let mut book = AlertBook::default();
    let large = |n| Finding { evidence: vec![json!("x".repeat(8_000)); 4], ..alert(n, "web", Severity::Low) };
    (0..200).for_each(|n| book.raise(&large(n)));
    let page = book.list(&all(1_000, None));
    let bytes: usize = page.alerts.iter().map(StoredFinding::bytes).sum();
    assert!(bytes <= PAGE_BYTES && bytes > PAGE_BYTES / 2, "{bytes}");
    assert!(page.next.is_some());
    let rest = book.list(&all(1_000, page.next));
    assert_eq!(rest.alerts.last().and_then(StoredFinding::read).unwrap().uid, format!("f{}", 199 - page.alerts.len()));
}

#[test]
fn what_many_alerts_are_found_by_is_kept_once_and_goes_with_the_last() {
    let mut book = AlertBook::with_bounds(Bounds { count: 32, bytes: usize::MAX });
    (0..500).for_each(|n| book.raise(&alert(n, "flood", Severity::Low)));
    assert_eq!(book.traits.len(), 1);
    book.raise(&alert(500, "web", Severity::High));
    assert_eq!(book.traits.len(), 2);
    // All of the first workload's give way, as these are more.
    (501..2_000).for_each(|n| book.raise(&alert(n, &format!("job-{}", n % 20), Severity::Low)));
    assert!(book.traits.len() <= book.by_uid.len(), "{} for {}", book.traits.len(), book.by_uid.len());
    // It is found by all of them still.
    let wanted = AlertFilter { workload: Some("web".into()), severity: Some(Severity::High), ..all(10, None) };
    assert_eq!(book.list(&wanted).alerts.len(), 1);
}
