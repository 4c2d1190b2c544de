use clap::CommandFactory;

use super::*;
use crate::output::Format;

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
        "ethogram containers -o json",
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
        "ethogram alerts accept 0123 --any-object --force",
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
