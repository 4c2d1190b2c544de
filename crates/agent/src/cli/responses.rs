//! `ethogram responses`: what was done about alerts, or would have been.

use std::{borrow::Cow, time::Duration};

use clap::Args;
use ethogram_model::render;
use serde_json::json;

use super::{
    args::ListFormat,
    client::{Client, encode},
    profile::moment,
};
use crate::{
    output::{self, Column},
    response::{PolicyStatus, ResponseRecord},
};

/// What was done about alerts.
#[derive(Debug, Args)]
pub struct ResponsesArgs {
    /// Thaw or connect the container of this response again, now
    #[arg(long, value_name = "ID")]
    pub undo: Option<String>,
    /// Who decides policies, and rules that lead to a kill or a refusal: the kernel or the agent, and why
    #[arg(long, conflicts_with = "undo")]
    pub policies: bool,
    /// At most so many, the latest of them
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
    /// How they are printed
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

pub(super) async fn answer(args: &ResponsesArgs, client: &Client) -> anyhow::Result<()> {
    if args.policies {
        let policies: Vec<PolicyStatus> = client.get("/v1/policies").await?;
        return Ok(output::print(&match args.output {
            ListFormat::Json => format!("{:#}\n", json!(policies)),
            ListFormat::Table => table_of_policies(&policies, output::width()),
        })?);
    }
    let records: Vec<ResponseRecord> = match &args.undo {
        Some(id) => vec![client.delete(&format!("/v1/responses/{}", encode(id))).await?],
        None => client.get(&format!("/v1/responses?limit={}", args.limit)).await?,
    };
    output::print(&match args.output {
        ListFormat::Json => format!("{:#}\n", json!(records)),
        ListFormat::Table => table(&records, output::width()),
    })?;
    Ok(())
}

fn table(records: &[ResponseRecord], width: usize) -> String {
    let columns = [
        Column::right("ID", 4),
        Column::left("TIME (UTC)", 19, 19),
        Column::left("ACTION", 6, 14),
        Column::left("OUTCOME", 7, 12),
        Column::left("CONTAINER", 9, 24),
        Column::right("PID", 5),
        Column::left("BY", 2, 6),
        Column::right("AFTER", 8),
        Column::left("RULE", 0, 80),
    ];
    let row = |r: &ResponseRecord| -> Vec<Cow<'static, str>> {
        vec![
            r.id.to_string().into(),
            moment(&r.time),
            r.action.name().into(),
            r.outcome.name().into(),
            shown(r.target.container.as_deref().unwrap_or("host")),
            r.target.pid.map_or("-".into(), |pid| pid.to_string().into()),
            r.by.name().into(),
            format!("{:.1?}", Duration::from_nanos(r.latency_ns)).into(),
            shown(&r.rule),
        ]
    };
    let mut out = output::columns(&columns, &records.iter().map(row).collect::<Vec<_>>(), width);
    // What is said of one in words is long.
    for record in records {
        for line in remarks(record) {
            out += &format!("{:>4}: {}\n", record.id, render::escape(&line));
        }
    }
    out
}

fn table_of_policies(policies: &[PolicyStatus], width: usize) -> String {
    let columns = [
        Column::left("DO", 4, 6),
        Column::left("DECIDED", 8, 10),
        Column::right("HELD", 5),
        Column::left("BY", 4, 6),
        Column::left("NAME", 0, 80),
    ];
    let row = |p: &PolicyStatus| -> Vec<Cow<'static, str>> {
        vec![
            p.action.name().into(),
            p.state.name().into(),
            p.hits.to_string().into(),
            if p.of_rule { "rule" } else { "policy" }.into(),
            shown(&p.name),
        ]
    };
    let mut out = output::columns(&columns, &policies.iter().map(row).collect::<Vec<_>>(), width);
    for policy in policies {
        if let Some(reason) = &policy.reason {
            out += &format!("{}: {}\n", render::escape(&policy.name), render::escape(reason));
        }
    }
    out
}

fn remarks(record: &ResponseRecord) -> Vec<String> {
    let mut lines = Vec::new();
    if record.is_active() {
        let until = record.until.as_deref().map_or("it is undone".into(), moment);
        lines.push(format!("goes on until {until}; ethogram responses --undo {}", record.id));
    }
    lines.extend(record.reason.clone());
    lines.extend(record.undone.as_ref().map(|u| format!("undone {}: {}", moment(&u.time), u.why)));
    lines
}

fn shown(text: &str) -> Cow<'static, str> {
    render::escape(text).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Act,
        response::{Undone, tests::record},
    };

    #[test]
    fn what_goes_on_is_shown_with_how_to_undo_it() {
        let mut freeze = record(12, Act::Freeze);
        freeze.until = Some("2026-01-31T12:10:00Z".into());
        freeze.rule = "odd \u{1b}[31mrule".into();
        let kill = record(13, Act::Kill);
        let text = table(&[freeze.clone(), kill], 140);
        let first = "  12 2026-01-31 12:00:00 freeze done    web           - user    1.0ms odd \\u{1b}[31mrule";
        assert_eq!(text.lines().nth(1), Some(first), "{text}");
        assert!(text.ends_with("  12: goes on until 2026-01-31 12:10:00; ethogram responses --undo 12\n"), "{text}");
        freeze.undone = Some(Undone { time: "2026-01-31T12:05:00Z".into(), why: "request".into() });
        assert!(table(&[freeze], 140).ends_with("  12: undone 2026-01-31 12:05:00: request\n"));
    }
}
