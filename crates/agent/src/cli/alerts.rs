//! `ethogram alerts`: what containers did that they never do.

use std::borrow::Cow;

use clap::{Args, Subcommand};
use ethogram_model::{Severity, render};
use serde_json::{Value as Json, json};

use super::{
    args::{ListFormat, Moment},
    client::{Client, encode},
    profile::moment,
    wrap::wrapped,
};
use crate::{
    api::Accepted,
    config::Period,
    output::{self, Align, Column},
};

/// Time, severity, container, count, and what.
const LAYOUT: [(Align, usize); 5] =
    [(Align::Left, 19), (Align::Left, 13), (Align::Left, 20), (Align::Right, 6), (Align::Left, 0)];
const TITLES: [&str; 5] = ["TIME (UTC)", "SEVERITY", "CONTAINER", "COUNT", "WHAT"];
const INDENT: usize = 20;

/// The alerts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ethogram alerts --severity high --since 1h                 high and critical ones of the last hour
  ethogram alerts --rule 'Terminal shell in container'       of one rule
  ethogram alerts --follow -o json                           as they are raised, one OCSF finding a line
  ethogram alerts accept 3f1c --for 30d                      it is normal: no alert for a month for the same done to
                                                             the same object by the same workload and executable
  ethogram alerts accept 3f1c --any-object                   whatever it is done to, unless that is severe
  ethogram alerts accepted                                   what was accepted
  ethogram alerts revoke 9c01                                it is not normal any more")]
pub struct AlertsArgs {
    /// What to do; without it, list them
    #[command(subcommand)]
    pub action: Option<AlertsAction>,
    /// Go on with alerts as they are raised
    #[arg(long, short)]
    pub follow: bool,
    /// Only of this container, by name or id
    #[arg(long, value_name = "NAME|ID")]
    pub container: Option<String>,
    /// Only those of this severity or a higher one
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    pub severity: Option<Severity>,
    /// Only of this rule, or this analytic, such as behaviour.execute
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
    /// Only of workloads whose name holds this text
    #[arg(long, value_name = "TEXT")]
    pub workload: Option<String>,
    /// Only those seen since then: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Only those that began before then: a time, or how long ago
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// At most so many, the latest of them
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// How they are printed; JSON is one OCSF finding a line
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What to do with alerts.
#[derive(Debug, Subcommand)]
pub enum AlertsAction {
    /// Say that an alert is normal: the same done to the same object by the same workload and executable raises none again
    Accept {
        /// The alert's uid, or the start of it
        uid: String,
        /// For how long [default: until it is revoked]
        #[arg(long = "for", value_name = "TIME")]
        period: Option<Period>,
        /// Why it is normal
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Accept whatever it is done to, and not only this alert's object. What is of high severity or above raises alerts
        /// all the same
        #[arg(long)]
        any_object: bool,
        /// With --any-object: accept what is of high severity or above, too
        #[arg(long, requires = "any_object")]
        force: bool,
    },
    /// List what was accepted (the allowlist)
    Accepted,
    /// Take an acceptance back
    Revoke {
        /// Its id
        id: String,
    },
}

pub(super) fn severity(text: &str) -> Result<Severity, String> {
    use Severity::{Critical, High, Informational, Low, Medium};
    let all = [Informational, Low, Medium, High, Critical];
    let found = all.into_iter().find(|s| s.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| "it must be informational, low, medium, high or critical".to_owned())
}

pub(super) async fn answer(args: &AlertsArgs, client: &Client) -> anyhow::Result<()> {
    let width = output::width();
    if let Some(action) = &args.action {
        return Ok(output::print(&act(action, args.output, client, width).await?)?);
    }
    let print = |alert: &Json| {
        output::print(&match args.output {
            ListFormat::Json => format!("{alert}\n"),
            ListFormat::Table => row(alert, width),
        })
    };
    let header = || match args.output {
        ListFormat::Json => Ok(()),
        ListFormat::Table => output::print(&output::row(&LAYOUT, &TITLES.map(Cow::Borrowed), width)),
    };
    if args.follow {
        return client.follow(&path(args), header, |line| Ok(print(&serde_json::from_slice(line)?)?)).await;
    }
    // The latest page comes first, and what is oldest is printed first.
    let (mut pages, mut left, mut next) = (Vec::new(), args.limit, Some(path(args)));
    while let Some(path) = next.take().filter(|_| left > 0) {
        let (mut page, before): (Vec<Json>, _) = client.get_page(&path).await?;
        page.drain(..page.len().saturating_sub(left));
        left -= page.len();
        next = before.filter(|_| !page.is_empty());
        pages.push(page);
    }
    header()?;
    for alert in pages.iter().rev().flatten() {
        print(alert)?;
    }
    Ok(())
}

/// Alerts in one answer at most.
const PAGE: usize = 1_000;

fn path(args: &AlertsArgs) -> String {
    let mut path = format!("/v1/alerts?limit={}", args.limit.clamp(1, PAGE));
    if let Some(container) = &args.container {
        path += &format!("&container={}", encode(container));
    }
    if let Some(severity) = args.severity {
        path += &format!("&severity={}", severity.name().to_lowercase());
    }
    for (key, value) in [
        ("rule", args.rule.as_deref()),
        ("workload", args.workload.as_deref()),
        ("since", args.since.as_ref().map(|m| m.0.as_str())),
        ("until", args.until.as_ref().map(|m| m.0.as_str())),
    ] {
        if let Some(value) = value {
            path += &format!("&{key}={}", encode(value));
        }
    }
    if args.follow {
        path += "&follow=true";
    }
    path
}

/// Accepts, lists what was accepted, or takes it back.
async fn act(action: &AlertsAction, format: ListFormat, client: &Client, width: usize) -> anyhow::Result<String> {
    let all: Vec<Accepted> = match action {
        AlertsAction::Accept { uid, period, reason, any_object, force } => {
            let body = json!({ "for": period, "reason": reason, "any_object": any_object, "force": force });
            vec![client.post(&format!("/v1/alerts/{}/accept", encode(uid)), &body).await?]
        }
        AlertsAction::Accepted => client.get("/v1/accepted").await?,
        AlertsAction::Revoke { id } => vec![client.delete(&format!("/v1/accepted/{}", encode(id))).await?],
    };
    Ok(accepted(&all, format, width))
}

/// What was accepted, as it is printed.
pub(super) fn accepted(all: &[Accepted], format: ListFormat, width: usize) -> String {
    if matches!(format, ListFormat::Json) {
        return format!("{:#}\n", json!(all));
    }
    let columns = [
        Column::left("ID", 16, 16),
        Column::left("FOUND BY", 16, 44),
        Column::left("EXECUTABLE", 10, 32),
        Column::left("OBJECT", 6, 32),
        Column::left("UNTIL (UTC)", 11, 19),
        Column::right("MATCHED", 7),
        Column::left("LAST (UTC)", 10, 19),
        Column::left("WORKLOAD", 0, 60),
    ];
    let shown = |text: &str| Cow::Owned(render::escape(text).into_owned());
    let row = |a: &Accepted| {
        vec![
            shown(&a.id),
            shown(&a.analytic),
            shown(&a.executable),
            a.object.as_deref().map_or("any".into(), shown),
            a.until.as_deref().map_or("revoked".into(), moment),
            a.matched.to_string().into(),
            a.last_matched.as_deref().map_or("never".into(), moment),
            shown(&a.workload),
        ]
    };
    output::columns(&columns, &all.iter().map(row).collect::<Vec<_>>(), width)
}

/// One line that says who did what, and below it why that is an alert.
fn row(alert: &Json, width: usize) -> String {
    let text = |pointer: &str| render::escape(alert.pointer(pointer).and_then(Json::as_str).unwrap_or("-"));
    let cells = [
        moment(&text("/time_dt")),
        text("/severity"),
        alert.pointer("/evidences/0/container").map_or("host".into(), |_| text("/evidences/0/container/name")),
        alert["count"].to_string().into(),
        text("/finding_info/title"),
    ];
    let mut out = output::row(&LAYOUT, &cells, width);
    for line in wrapped(&text("/message"), width.saturating_sub(INDENT)) {
        out += &format!("{:INDENT$}{line}\n", "");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_alert_is_read_at_120_columns() {
        let alert = json!({
            "time_dt": "2026-01-31T12:00:00.123456789Z",
            "severity": "High",
            "count": 3,
            "message": "nc had never been started there. ".repeat(5),
            "finding_info": { "title": "web started \u{1b}[31mnc" },
            "evidences": [{ "container": { "name": "web" } }],
        });
        let text = row(&alert, 120);
        let lines: Vec<_> = text.lines().collect();
        let first = "2026-01-31 12:00:00 High          web                       3 web started \\u{1b}[31mnc";
        assert_eq!(lines.first(), Some(&first));
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|l| l.chars().count() <= 120), "{text}");
        assert!(row(&json!({}), 80).starts_with("-"));
    }
}
