//! The words of the command line.

mod profile;

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use ethogram_model::Severity;

use crate::{config::Period, output::Format};
pub(super) use profile::{ProfileAction, ProfileArgs};

/// Learns what each container workload normally does, and raises an alert when one does something new or known to be
/// bad.
#[derive(Debug, Parser)]
#[command(name = "ethogram", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file [default: /etc/ethogram/ethogram.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The server's socket [default: as configured]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Collect, learn, judge and serve, until it is stopped
    Server(ServerArgs),
    /// Show one tracker's events in the terminal
    Run(RunArgs),
    /// Record what happens into a file, to be replayed anywhere
    Record(RecordArgs),
    /// Judge a recording again, or convert its events
    Replay(ReplayArgs),
    /// List the trackers, and start or stop them in the running server
    Trackers(TrackersArgs),
    /// Say what works on this machine, and why the rest does not
    Doctor(DoctorArgs),
    /// Show what the running server has learnt
    Profile(ProfileArgs),
    /// Show the running server's alerts
    Alerts(AlertsArgs),
    /// Show rules, check rule files and say what rules cost
    Rules(RulesArgs),
    /// Show what the running server did about its alerts, and undo it
    Responses(ResponsesArgs),
    /// Print the schema of the configuration, the API or the events
    Schema(SchemaArgs),
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Aligned columns, for people.
    Table,
    /// JSON, for programs.
    Json,
}

/// `PARAM=VALUE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The parameter.
    pub name: String,
    /// Its value, not checked yet.
    pub value: String,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("it must be PARAM=VALUE, such as min_ms=5"),
        }
    }
}

/// All of it.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// Record all that is judged into a new file: its replay gives the same alerts
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Learn nothing: judge by the profiles that there are, and raise an alert for each workload that has none
    #[arg(long)]
    pub locked: bool,
}

/// A recording.
#[derive(Debug, Args)]
#[command(after_help = "\
Containers are recorded from their first instruction, with what the runtimes report about them. Processes are recorded on the
whole host, as they are the ancestors of those in containers. Arguments that look like secrets are masked; the rest of
them is in the file, which only its owner can read.

What is written can be read at any time, also after a crash. The last line says how much was recorded, and whether
anything was lost.

Examples:
  ethogram record /tmp/shop.egr --duration 10m               everything that the server would collect
  ethogram record /tmp/shop.egr --container shop             one container, running or still to start
  ethogram record /tmp/net.egr --trackers tcp                only some trackers
  ethogram server --record /tmp/live.egr                     what a server judges, and what it had learnt before
  ethogram replay /tmp/shop.egr                              its alerts, on any machine, without root")]
pub struct RecordArgs {
    /// The file; it must not be there yet
    pub file: PathBuf,
    /// How long to go on [default: until Ctrl-C]
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Period>,
    /// Only this container, by name or id, also if it starts later; may be repeated
    #[arg(long, value_name = "NAME|ID")]
    pub container: Vec<String>,
    /// How long to wait for a container that no runtime knows yet
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub wait: Period,
    /// Only these trackers, separated by commas [default: those of the server]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub trackers: Vec<String>,
    /// Also what happens outside containers
    #[arg(long, conflicts_with = "container")]
    pub host: bool,
}

/// A recording, once more.
#[derive(Debug, Args)]
#[command(after_help = "\
The same engine runs over the recording, faster than real time, and gives the same result to the byte, on any machine,
without root. Time comes from the recording. Learning goes on from what the server had learnt when it was recorded.

A file that is cut or damaged is replayed up to the damage; then the exit code is 1, and the last line says where it is.

Examples:
  ethogram replay live.egr                                   alerts, as the server printed them
  ethogram replay live.egr --profiles profiles.jsonl         and what was learnt
  ethogram replay live.egr --config trial.toml               with another [behaviour] learning_period
  ethogram replay live.egr --only rules                      what the rules say without the behaviour model
  ethogram replay live.egr -o json --tracker process         events, as 'ethogram run process -o json' prints them
  ethogram replay live.egr -o parquet --output-file live.parquet")]
pub struct ReplayArgs {
    /// The recording
    pub file: PathBuf,
    /// What is printed
    #[arg(short, long, value_enum, default_value = "alerts", value_name = "FORMAT")]
    pub output: ReplayFormat,
    /// Write to a file in place of the terminal
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
    /// Only events of this tracker; may be repeated
    #[arg(long, value_name = "NAME")]
    pub tracker: Vec<String>,
    /// Only events of this container, by name or id; may be repeated
    #[arg(long, value_name = "NAME|ID")]
    pub container: Vec<String>,
    /// Write what was learnt to a file, one profile a line, as GET /v1/profiles/ID gives it
    #[arg(long, value_name = "FILE")]
    pub profiles: Option<PathBuf>,
    /// Judge by one of the two alone, as if there were no other
    #[arg(long, value_enum, value_name = "JUDGE", conflicts_with_all = ["tracker", "container"])]
    pub only: Option<Judge>,
}

/// Who judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Judge {
    /// The behaviour model.
    Behaviour,
    /// The rules.
    Rules,
}

/// What a replay prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReplayFormat {
    /// Alerts, one OCSF finding a line.
    Alerts,
    /// Events, one JSON object a line.
    Json,
    /// Events as RFC 4180, one column for each name of the vocabulary.
    Csv,
    /// Events as Apache Parquet, with the columns of CSV and their types.
    Parquet,
}

/// One tracker, to the terminal.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A tracker's name, or the path of an object (FILE.bpf.o)
    pub tracker: String,
    /// How often samples are read
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = interval)]
    pub interval: Period,
    /// How long to go on [default: until Ctrl-C]
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Period>,
    /// Only this container, by name or id, also if it starts later; may be repeated
    #[arg(long, value_name = "NAME|ID")]
    pub container: Vec<String>,
    /// How long to wait for a container that no runtime knows yet
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub wait: Period,
    /// Set a parameter of the tracker; may be repeated
    #[arg(long, value_name = "PARAM=VALUE")]
    pub set: Vec<Setting>,
    /// How events are printed
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
    /// Write to a file in place of the terminal
    #[arg(long, value_name = "FILE")]
    pub output_file: Option<PathBuf>,
}

/// The shortest interval: reading samples is work, too.
fn interval(text: &str) -> Result<Period, String> {
    let period: Period = text.parse()?;
    if period.get() < Duration::from_millis(100) {
        return Err("it must be at least 100ms".to_owned());
    }
    Ok(period)
}

/// The trackers there are.
#[derive(Debug, Args)]
pub struct TrackersArgs {
    /// What to do; without it, list them
    #[command(subcommand)]
    pub action: Option<TrackersAction>,
    /// How they are printed
    #[arg(short, long, global = true, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What to do with a tracker of the running server.
#[derive(Debug, Subcommand)]
pub enum TrackersAction {
    /// Start one
    Start {
        /// The tracker
        name: String,
        /// Set a parameter; may be repeated
        #[arg(long, value_name = "PARAM=VALUE")]
        set: Vec<Setting>,
    },
    /// Stop one
    Stop {
        /// The tracker
        name: String,
    },
}

/// What works here.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How it is printed
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    pub output: ListFormat,
}

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

/// The alerts.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ethogram alerts --severity high --since 1h                 high and critical ones of the last hour
  ethogram alerts --rule 'Terminal shell in container'       of one rule
  ethogram alerts --follow -o json                           as they are raised, one OCSF finding a line
  ethogram alerts accept 3f1c --for 30d                      it is normal: no alert for a month for the same of
                                                             the same workload and executable
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
    /// Say that an alert is normal: the same of the same workload and executable raises none again
    Accept {
        /// The alert's uid, or the start of it
        uid: String,
        /// For how long [default: until it is revoked]
        #[arg(long = "for", value_name = "TIME")]
        period: Option<Period>,
        /// Why it is normal
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// List what was accepted (the allowlist)
    Accepted,
    /// Take an acceptance back
    Revoke {
        /// Its id
        id: String,
    },
}

/// A time, as RFC 3339 says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment(pub String);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.parse::<jiff::Timestamp>().is_ok() {
            return Ok(Self(text.to_owned()));
        }
        let wrong = || "it must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 1h".to_owned();
        let ago: Period = text.parse().map_err(|_| wrong())?;
        let then = jiff::Timestamp::now().checked_sub(jiff::SignedDuration::try_from(ago.get()).map_err(|_| wrong())?);
        Ok(Self(then.map_err(|_| wrong())?.to_string()))
    }
}

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

fn severity(text: &str) -> Result<Severity, String> {
    use Severity::{Critical, High, Informational, Low, Medium};
    let all = [Informational, Low, Medium, High, Critical];
    let found = all.into_iter().find(|s| s.name().eq_ignore_ascii_case(text));
    found.ok_or_else(|| "it must be informational, low, medium, high or critical".to_owned())
}

/// A schema.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Of what
    #[command(subcommand)]
    pub of: SchemaOf,
    /// How it is printed
    #[arg(short, long, global = true, value_enum, default_value = "json", value_name = "FORMAT")]
    pub output: ListFormat,
}

/// What there are schemas of.
#[derive(Debug, Clone, Subcommand)]
pub enum SchemaOf {
    /// The configuration file, as a JSON schema
    Config,
    /// The HTTP API, as an OpenAPI document
    Api,
    /// The events of the trackers
    Events {
        /// Only of this tracker
        tracker: Option<String>,
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn names_that_stay() {
        for line in [
            "ethogram server --config /x",
            "ethogram run open --interval 1s --duration 10s --container a --container b --set x=1 -o csv --output-file f",
            "ethogram run ./x.bpf.o -o json",
            "ethogram trackers -o json",
            "ethogram trackers start tcp --set a=b",
            "ethogram server --record r",
            "ethogram record r --duration 10s --container a --container b --trackers open,tcp",
            "ethogram replay r --config /x --profiles p",
            "ethogram replay r --only rules",
            "ethogram replay r -o parquet --output-file f --tracker open --container a",
            "ethogram doctor -o json",
            "ethogram profile list -o json",
            "ethogram profile show web",
            "ethogram profile cost --recording r -o json",
            "ethogram profile export web --output-file f",
            "ethogram profile import a.toml b.toml --any-digest",
            "ethogram profile approve 0123",
            "ethogram profile reset 0123 -o json",
            "ethogram profile diff web - -o json",
            "ethogram server --locked",
            "ethogram alerts --follow -o json --socket /s",
            "ethogram alerts --since 1h --until 2026-01-31T12:00:00Z --rule x --workload w",
            "ethogram alerts accept 0123 --for 30d --reason x",
            "ethogram alerts accepted -o json",
            "ethogram alerts revoke 0123",
            "ethogram rules list -o json",
            "ethogram rules check a.yaml b.yaml",
            "ethogram rules test",
            "ethogram rules cost",
            "ethogram responses --undo 7 -o json",
            "ethogram schema config",
            "ethogram schema events open -o table",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).err().unwrap());
        }
    }

    #[test]
    fn defaults_of_run() {
        let Command::Run(args) = parse("ethogram run open").unwrap().command else { panic!("not run") };
        assert_eq!((args.interval.get().as_secs(), args.duration, args.output), (3, None, Format::Table));
    }

    #[test]
    fn wrong_values_are_refused() {
        for line in [
            "ethogram run",
            "ethogram run open --interval 1ms",
            "ethogram run open --interval soon",
            "ethogram run open --set x",
            "ethogram run open --set =1",
            "ethogram run open -o yaml",
            "ethogram record",
            "ethogram record r --host --container a",
            "ethogram replay r -o table",
            "ethogram replay r --only luck",
            "ethogram alerts --severity bad",
            "ethogram profile",
            "ethogram nothing",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
