//! `ethogram rules`: what is known to be bad, whether it can fire here, and what it costs.

use std::{borrow::Cow, path::PathBuf, sync::Arc};

use anyhow::bail;
use ethogram_detect::rules::{Level, Loaded, RuleInfo, RuleSet, RuleState, check_examples};
use ethogram_model::{TrackerSchema, render};
use serde_json::json;

use super::{ListFormat, args::RulesArgs};
use crate::{
    config::Config,
    output::{self, Column},
    rules::Origin,
};

/// Reads rule files and says what is wrong with them, and which rules cannot fire.
pub(super) fn check(
    paths: &[PathBuf],
    args: &RulesArgs,
    config: &Config,
    builtin: fn() -> Vec<TrackerSchema>,
) -> anyhow::Result<()> {
    let loaded = RuleSet::load(&read(paths, config)?, &schemas(builtin));
    let rules = loaded.set.rules();
    for problem in &loaded.problems {
        eprintln!("{}", render::escape(&problem.to_string()));
    }
    if loaded.further_problems > 0 {
        eprintln!("and {} problems more", loaded.further_problems);
    }
    output::print(&match args.output {
        ListFormat::Json => format!("{:#}\n", json!({ "rules": rules, "problems": loaded.problems })),
        ListFormat::Table => verdict(&rules),
    })?;
    let errors = loaded.problems.iter().filter(|p| p.level == Level::Error).count();
    if errors > 0 {
        bail!("{errors} errors: rules with an error are not used");
    }
    Ok(())
}

/// Tries the examples in rule files.
pub(super) fn test(
    paths: &[PathBuf],
    args: &RulesArgs,
    config: &Config,
    builtin: fn() -> Vec<TrackerSchema>,
) -> anyhow::Result<()> {
    let (files, schemas) = (read(paths, config)?, schemas(builtin));
    let loaded: Loaded = RuleSet::load(&files, &schemas);
    for problem in loaded.problems.iter().filter(|p| p.level == Level::Error) {
        eprintln!("{}", render::escape(&problem.to_string()));
    }
    let outcomes = check_examples(&files, &schemas);
    let failed: Vec<_> = outcomes.iter().filter(|o| o.failure.is_some()).collect();
    let all: Vec<_> = outcomes
        .iter()
        .map(|o| json!({ "rule": o.rule, "place": o.place, "passed": o.failure.is_none(), "failure": o.failure }))
        .collect();
    output::print(&match args.output {
        ListFormat::Json => format!("{:#}\n", json!(all)),
        ListFormat::Table => {
            let line = |o: &&ethogram_detect::rules::Outcome| {
                let why = o.failure.as_deref().unwrap_or_default();
                format!("{}: {}: {why}\n", render::escape(&o.place), render::escape(&o.rule))
            };
            let lines: String = failed.iter().map(line).collect();
            format!("{lines}{} examples, {} failed\n", outcomes.len(), failed.len())
        }
    })?;
    if !failed.is_empty() || loaded.has_errors() {
        bail!("{} of {} examples failed", failed.len(), outcomes.len());
    }
    Ok(())
}

fn read(paths: &[PathBuf], config: &Config) -> anyhow::Result<Vec<ethogram_detect::rules::File>> {
    let origin = if paths.is_empty() { Origin::configured(&config.rules) } else { Origin::only(paths.to_vec()) };
    Ok(origin.read()?.files)
}

fn schemas(builtin: fn() -> Vec<TrackerSchema>) -> Vec<Arc<TrackerSchema>> {
    builtin().into_iter().map(Arc::new).collect()
}

/// How many rules there are, and why some of them cannot fire.
pub(super) fn verdict(rules: &[RuleInfo]) -> String {
    let count = |wanted: fn(&RuleState) -> bool| rules.iter().filter(|r| wanted(&r.state)).count();
    let armed = count(|s| *s == RuleState::Armed);
    let disabled = count(|s| *s == RuleState::Disabled);
    let mut out = String::new();
    let silent = rules.iter().filter_map(|r| match &r.state {
        RuleState::CannotFire(why) => Some((r, why)),
        _ => None,
    });
    for (rule, why) in silent {
        out += &format!("cannot fire: {}\n             {}\n", render::escape(&rule.name), render::escape(why));
    }
    let cannot = rules.len() - armed - disabled;
    out + &format!("{} rules: {armed} armed, {disabled} disabled, {cannot} cannot fire\n", rules.len())
}

/// All rules, one a line.
pub(super) fn list(rules: &[RuleInfo], width: usize) -> String {
    let columns = [
        Column::left("STATE", 11, 11),
        Column::left("PRIORITY", 8, 13),
        Column::left("RULE", 20, 56),
        Column::left("TESTED FOR", 0, 60),
    ];
    let row = |rule: &RuleInfo| -> Vec<Cow<'static, str>> {
        let state = match rule.state {
            RuleState::Armed => "armed",
            RuleState::Disabled => "disabled",
            RuleState::CannotFire(_) => "cannot fire",
        };
        let events = rule.events.join(" ");
        vec![state.into(), rule.priority.name().into(), render::escape(&rule.name).into_owned().into(), events.into()]
    };
    output::columns(&columns, &rules.iter().map(row).collect::<Vec<_>>(), width)
}

pub(super) async fn answer(_args: &RulesArgs, _client: &super::client::Client) -> anyhow::Result<()> {
    Ok(())
}
