//! `ethogram rules`: what is known to be bad, whether it can fire here, and what it costs.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::{Args, Subcommand};
use ethogram_detect::{
    Acceptances,
    rules::{Cost, Level, Loaded, RuleInfo, RuleSet, RuleState, Rules, check_examples},
};
use ethogram_model::{TrackerSchema, render};
use serde_json::json;

use super::{args::ListFormat, client::Client, replay};
use crate::{
    api::{RuleProblem, RuleStatus, RulesStatus},
    config::Config,
    output::{self, Column},
    rules::{Origin, tested},
};

/// Events of a recording that are judged over and over.
const MOST_EVENTS: usize = 200_000;
/// How long they are judged at least.
const LONG_ENOUGH: Duration = Duration::from_secs(3);

/// The rules.
#[derive(Debug, Args)]
#[command(after_help = "\
Rules are written in Falco's language; a rule file may be Falco's own. Where no FILE is named, those of the configuration
are meant: the rules that ship, and what [rules] files adds. Examples in a rule file are events that it must hit or miss.

Examples:
  ethogram rules check falco_rules.yaml                      what is wrong in it, and which rules cannot fire here
  ethogram rules test                                        whether the rules do what their examples say
  ethogram rules list -o json                                the rules of the running server
  ethogram rules cost                                        what each of them has cost it
  ethogram rules cost --recording live.egr                   what they cost on recorded events")]
pub struct RulesArgs {
    /// What to do
    #[command(subcommand)]
    pub action: RulesAction,
    /// How it is printed
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What to do with rules.
#[derive(Debug, Subcommand)]
pub enum RulesAction {
    /// The rules of the running server, and whether they can fire
    List,
    /// Read rule files and say what is wrong with them
    Check {
        /// Rule files or folders of them [default: as configured]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Try the examples in rule files
    Test {
        /// Rule files or folders of them [default: as configured]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// What each rule has cost the running server, or costs on a recording
    Cost {
        /// Judge the events of this recording instead, over and over for some seconds
        #[arg(long, value_name = "FILE")]
        recording: Option<PathBuf>,
        /// By these rule files or folders of them [default: as configured]
        #[arg(value_name = "RULES", requires = "recording")]
        files: Vec<PathBuf>,
    },
    /// Have the running server read its rule files again
    Reload,
}

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

/// What rules cost on the events of a recording.
pub(super) fn cost_on(
    recording: &Path,
    paths: &[PathBuf],
    args: &RulesArgs,
    config: &Config,
    builtin: fn() -> Vec<TrackerSchema>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let files = read(paths, config)?;
    let loaded = RuleSet::load_what_is_right(&files, &schemas(builtin));
    let load = began.elapsed();
    let events = replay::events(recording, MOST_EVENTS)?;
    if events.is_empty() {
        bail!("{} has no events", recording.display());
    }
    let mut rules = Rules::new(Arc::new(loaded.set));
    let mut accepted = Acceptances::default();
    let mut round = |rules: &mut Rules| {
        let began = Instant::now();
        let findings: usize = events.iter().map(|event| rules.judge(event, &mut accepted).len()).sum();
        (began.elapsed().as_secs_f64(), findings)
    };
    let (_, findings) = round(&mut rules);
    let mut rounds: Vec<f64> = Vec::new();
    while began.elapsed() < LONG_ENOUGH || rounds.len() < 5 {
        rounds.push(events.len() as f64 / round(&mut rules).0);
    }
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    // Measuring each rule by itself takes time of its own: a round that does not count.
    let start = Instant::now();
    rules.measure_with(move || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    round(&mut rules);
    let costs = rules.costs();
    let tested = tested(rules.set());
    let measured = json!({
        "rules": rules.set().len(),
        "load_ms": load.as_secs_f64() * 1e3,
        "events": events.len(),
        "findings": findings,
        "rounds": rounds.len(),
        "events_per_second": median,
        "costs": costs,
    });
    output::print(&match args.output {
        ListFormat::Json => format!("{measured:#}\n"),
        ListFormat::Table => {
            let of = |c: &Cost| RuleStatus {
                name: c.rule.to_string(),
                state: "armed".into(),
                events: c.events.clone(),
                tested: c.tested,
                matched: c.matched,
                test_ns: c.test_ns,
                ..RuleStatus::default()
            };
            let rules: Vec<_> = costs.iter().filter(|c| !c.events.is_empty()).map(of).collect();
            let (load, number) = (load.as_secs_f64() * 1e3, loaded.problems.len());
            format!(
                "{}{} rules loaded in {load:.1} ms ({number} problems); {} events judged {} times: {median:.0} a second\n",
                cost(&rules, &tested, output::width()),
                measured["rules"],
                events.len(),
                rounds.len(),
            )
        }
    })?;
    Ok(())
}

/// What the running server says of its rules.
pub(super) async fn answer(args: &RulesArgs, client: &Client) -> anyhow::Result<()> {
    let status: RulesStatus = match args.action {
        RulesAction::Reload => client.post("/v1/rules", &json!({})).await?,
        _ => client.get("/v1/rules").await?,
    };
    let width = output::width();
    output::print(&match (args.output, &args.action) {
        (ListFormat::Json, _) => format!("{:#}\n", json!(status)),
        (ListFormat::Table, RulesAction::Cost { .. }) => cost(&status.rules, &status.tested, width),
        (ListFormat::Table, _) => list(&status.rules, width),
    })?;
    if status.outdated {
        for problem in status.problems.iter().filter(|p| p.level == "error") {
            let RuleProblem { file, line, column, text, .. } = problem;
            eprintln!("{}", render::escape(&format!("{file}:{line}:{column}: {text}")));
        }
        eprintln!("older rules are in force: a rule file has an error");
    }
    Ok(())
}

/// All rules, one a line.
fn list(rules: &[RuleStatus], width: usize) -> String {
    let columns = [
        Column::left("STATE", 11, 11),
        Column::left("PRIORITY", 8, 13),
        Column::left("RULE", 20, 56),
        Column::left("TESTED FOR, OR WHY IT CANNOT FIRE", 0, 100),
    ];
    let row = |rule: &RuleStatus| {
        let state = rule.state.replace('_', " ");
        let why = rule.reason.clone().unwrap_or_else(|| rule.events.join(" "));
        vec![state.into(), rule.priority.clone().into(), shown(&rule.name), shown(&why)]
    };
    output::columns(&columns, &rules.iter().map(row).collect::<Vec<_>>(), width)
}

/// What rules cost, the dearest first.
fn cost(rules: &[RuleStatus], tested: &BTreeMap<String, Vec<String>>, width: usize) -> String {
    let columns = [
        Column::left("RULE", 20, 56),
        Column::right("TESTED", 8),
        Column::right("MATCHED", 8),
        Column::right("NS A TEST", 9),
        Column::right("MS IN ALL", 9),
        Column::left("KEEPS THE KERNEL FROM FILTERING", 0, 60),
    ];
    let spent = |rule: &RuleStatus| rule.test_ns.unwrap_or(0.0) * rule.tested as f64 / 1e6;
    let mut armed: Vec<&RuleStatus> = rules.iter().filter(|r| r.state == "armed").collect();
    armed.sort_by(|a, b| spent(b).total_cmp(&spent(a)).then_with(|| a.name.cmp(&b.name)));
    let row = |rule: &&RuleStatus| {
        vec![
            shown(&rule.name),
            rule.tested.to_string().into(),
            rule.matched.to_string().into(),
            rule.test_ns.map_or("-".into(), |ns| format!("{ns:.0}").into()),
            format!("{:.1}", spent(rule)).into(),
            shown(&rule.events.join(" ")),
        ]
    };
    let mut out = output::columns(&columns, &armed.iter().map(row).collect::<Vec<_>>(), width);
    for (event, tests) in tested {
        out += &format!("{}: only where {}\n", render::escape(event), render::escape(&tests.join(" and ")));
    }
    out
}

fn shown(text: &str) -> Cow<'static, str> {
    render::escape(text).into_owned().into()
}
