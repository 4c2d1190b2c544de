//! An explanation without a model, in lines that fit: its sentences are broken, and its commands are not.

use ethogram_model::{explain::COMMAND, render};

use super::triage::indented;
use crate::cli::wrap::wrapped;

/// What the server explained.
pub(super) fn text(explained: &str, width: usize) -> String {
    let of_line = |line: &str| match line.strip_prefix("- ") {
        _ if line.is_empty() || line.starts_with(COMMAND) => vec![line.to_owned()],
        Some(item) => indented("- ", item, width),
        None => wrapped(line, width),
    };
    explained
        .lines()
        .flat_map(|line| of_line(&render::escape(line)))
        .fold(String::new(), |all, line| all + &line + "\n")
}

#[cfg(test)]
mod tests {
    use ethogram_model::explain::Explanation;

    use super::*;
    use crate::cli::incidents::story::tests::incident;

    #[test]
    fn sentences_are_broken_and_commands_are_not() {
        let explained = Explanation::of(&incident()).text();
        let shown = text(&explained, 40);
        let commands = |text: &str| text.lines().filter(|line| line.starts_with(COMMAND)).count();
        assert!(commands(&shown) > 3 && commands(&shown) == commands(&explained), "{shown}");
        let is_short = |line: &str| line.starts_with(COMMAND) || line.chars().count() <= 40;
        assert!(shown.lines().all(is_short), "{shown}");
    }
}
