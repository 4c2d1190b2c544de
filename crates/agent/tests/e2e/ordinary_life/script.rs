//! A script of a service's life: what it says of itself in its first lines.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::FOLDER;

/// A service's life: functions `deed` and `misdeed`, and mostly `start`.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) name: String,
    /// How its container is started.
    pub(super) command: Vec<String>,
    pub(super) options: Vec<String>,
    /// How its containers name their image.
    pub(super) image: Naming,
    /// What finds its misdeed.
    pub(super) told: Vec<String>,
    /// How many alerts of the misdeed there may be.
    pub(super) most: usize,
    /// Whether it takes longer to start than what comes with the first start is learnt.
    pub(super) has_long_start: bool,
    /// Whether a restart is part of what is learnt.
    pub(super) is_restarted: bool,
    /// Rules that note what it does ordinarily, for those who want to know of it.
    pub(super) noted: Vec<String>,
}

/// How an image is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// By its name and tag.
    Name,
    /// By its name and tag at first, later by its id.
    Id,
    /// It has no name.
    None,
}

impl Script {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        let head = || text.lines().skip(1).map_while(|line| line.strip_prefix("# "));
        let of = |key: &str| head().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).unwrap_or_default();
        let words = |key| of(key).split_whitespace().map(str::to_owned).collect();
        let list = |key| of(key).split(", ").filter(|one| !one.is_empty()).map(str::to_owned).collect();
        let image = match of("image") {
            "" => Naming::Name,
            "id" => Naming::Id,
            "none" => Naming::None,
            other => panic!("{name}: unknown image {other}"),
        };
        let most = of("most").parse().unwrap_or(usize::MAX);
        let script = Self {
            command: words("command"),
            options: words("options"),
            image,
            told: list("told"),
            most,
            has_long_start: !of("long start").is_empty(),
            is_restarted: !of("restarted").is_empty(),
            noted: list("noted"),
            name,
        };
        assert!(!script.command.is_empty() && !script.told.is_empty(), "{script:?}");
        script
    }

    pub(super) fn all() -> Vec<Self> {
        let files = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
        let is_script = |path: &PathBuf| path.extension().is_some_and(|e| e == "sh") && !path.ends_with("service.sh");
        files.filter(is_script).map(|path| Self::read(&path)).collect()
    }
}
