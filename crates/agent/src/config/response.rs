//! `[response]`: what is done about findings, besides alerts.

use std::net::IpAddr;

use ethogram_model::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Glob, Period};

/// What is done about findings, besides alerts. Try it with `mode = "dry-run"` first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Response {
    /// `off`; `dry-run`, where what would be done is recorded and nothing is done; or `enforce`.
    pub mode: Mode,
    /// What is never acted upon: names of containers, images or Kubernetes namespaces, in which `*` stands for
    /// anything. The agent itself, container runtimes and the host's processes never are.
    pub protect: Vec<Glob>,
    /// How long a container stays frozen or cut off at most.
    pub limit: Period,
    /// Whether containers are thawed and connected again when the agent ends.
    pub undo_on_exit: bool,
    /// What findings lead to. Every entry that fits a finding counts.
    pub action: Vec<Action>,
    /// What the kernel itself refuses or kills for, in containers, as it happens.
    pub policy: Vec<Policy>,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            mode: Mode::Off,
            protect: Vec::new(),
            limit: Period::from_secs(600),
            undo_on_exit: true,
            action: Vec::new(),
            policy: Vec::new(),
        }
    }
}

/// Whether anything is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Mode {
    /// Nothing is done.
    #[default]
    Off,
    /// What would be done is recorded.
    DryRun,
    /// It is done.
    Enforce,
}

/// What findings of a kind lead to. All that it says of the finding must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Action {
    /// The rule's name, in which `*` stands for anything; where no rule found it, what did: `behaviour.execute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Glob>,
    /// A tag of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Of this severity or a higher one: `informational`, `low`, `medium`, `high` or `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub severity: Option<Severity>,
    /// Only of containers of this name, image or Kubernetes namespace, in which `*` stands for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Glob>,
    /// `kill` the process, `kill-container`, `freeze` it, `cut-network`, or `deny` what the rule is about.
    #[serde(rename = "do")]
    pub act: Act,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Act {
    /// Kill the process.
    Kill,
    /// Kill all processes of the container.
    KillContainer,
    /// Freeze the container, for a while.
    Freeze,
    /// Let no packet out of the container or into it but by loopback, for a while.
    CutNetwork,
    /// Refuse the operation itself.
    Deny,
}

impl Act {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillContainer => "kill-container",
            Self::Freeze => "freeze",
            Self::CutNetwork => "cut-network",
            Self::Deny => "deny",
        }
    }

    /// Whether it goes on until it is undone.
    pub fn lasts(self) -> bool {
        matches!(self, Self::Freeze | Self::CutNetwork)
    }
}

/// What the kernel itself refuses, or kills a process for. A path, an address or a port that is left out stands for
/// any.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Policy {
    /// How it is called in records.
    pub name: String,
    /// `exec`, `write` (opening or creating a file for writing, or truncating it), `connect`, `mount`, `ptrace`,
    /// `module` or `bpf`.
    pub operation: PolicyOperation,
    /// Of `exec` and `write`: a path in the container, or all below it where it ends in `/*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Of `connect`: an IP address, or a network such as `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of `connect`: the peer's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// In which containers, by name, image or Kubernetes namespace; without it in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Glob>,
    /// `deny` it, or `kill` the process that tries.
    #[serde(rename = "do")]
    pub act: Ruling,
    /// Whether it also holds in each container that is not known yet, until the runtime has told what `container` and
    /// `protect` need.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fail_closed: bool,
}

/// What the kernel does when a policy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Ruling {
    /// It refuses the operation.
    Deny,
    /// It kills the process.
    Kill,
}

/// What a process does that the kernel can be asked to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum PolicyOperation {
    /// Run a program.
    Exec,
    /// Open or create a file for writing, or truncate it.
    Write,
    /// Connect, or send to an address without.
    Connect,
    /// Mount a file system, or move a mount.
    Mount,
    /// Trace another process, or read or write its memory.
    Ptrace,
    /// Load a kernel module, or have one loaded.
    Module,
    /// Make any bpf call.
    Bpf,
}

impl Response {
    /// What is wrong with it: the key, and what would be right.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if self.limit.get().is_zero() {
            return Err(("response.limit", "must be longer than 0s: nothing would be frozen or cut off"));
        }
        if self.action.iter().any(|a| a.rule.is_none() && a.tag.is_none() && a.severity.is_none()) {
            return Err((
                "response.action",
                "needs `rule`, `tag` or `severity` in each entry: it would fit every finding",
            ));
        }
        if self.policy.len() > Self::MAX_POLICIES {
            return Err(("response.policy", "holds more than 64 entries, which the kernel's table has room for"));
        }
        self.policy.iter().try_for_each(Policy::check)
    }

    /// Policies at most: each is a bit of a word in the kernel.
    pub const MAX_POLICIES: usize = ethogram_probe::Enforcer::MAX_POLICIES;
}

impl Policy {
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let wrong = |what| Err(("response.policy", what));
        let of_files = matches!(self.operation, PolicyOperation::Exec | PolicyOperation::Write);
        match &self.path {
            Some(_) if !of_files => return wrong("has a `path` where the operation is neither exec nor write"),
            Some(path) if !is_path(path) => {
                return wrong(
                    "has a `path` that is not absolute, such as \"/usr/bin/nc\" or \"/tmp/*\"; a * stands only at its end",
                );
            }
            _ => {}
        }
        if self.operation != PolicyOperation::Connect && (self.address.is_some() || self.port.is_some()) {
            return wrong("has an `address` or `port` where the operation is not connect");
        }
        if self.address.is_some() && self.network().is_none() {
            return wrong("has an `address` that is none, such as \"192.0.2.1\" or \"10.0.0.0/8\"");
        }
        Ok(())
    }

    /// The network that `address` stands for, and how many bits of it count.
    pub fn network(&self) -> Option<(IpAddr, u8)> {
        let text = self.address.as_deref()?;
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |b| b.parse().ok())?;
        (bits <= all).then_some((address, bits))
    }
}

fn is_path(path: &str) -> bool {
    let plain = path.strip_suffix("/*").unwrap_or(path);
    let parts = || plain.split('/').skip(1);
    let whole = plain.is_empty() && path == "/*";
    whole || (plain.starts_with('/') && !plain.contains('*') && parts().all(|p| !matches!(p, "" | "." | "..")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Response, String> {
        let response: Response = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        response.check().map_err(|(key, what)| format!("{key} {what}"))?;
        Ok(response)
    }

    #[test]
    fn actions_say_which_findings_and_what() {
        let config = "mode = 'dry-run'\n[[action]]\nrule = 'Reverse shell*'\ndo = 'kill'\n[[action]]\nseverity = \
                      'critical'\ncontainer = 'web*'\ndo = 'cut-network'\n";
        let response = check(config).unwrap();
        assert_eq!(response.mode, Mode::DryRun);
        assert_eq!(response.action[0].act, Act::Kill);
        assert_eq!(response.action[1].severity, Some(Severity::Critical));
        assert!(check("[[action]]\ndo = 'kill'").unwrap_err().contains("needs `rule`"));
        assert!(check("[[action]]\ntag = 'x'\ndo = 'explode'").unwrap_err().contains("kill-container"));
        assert!(check("limit = '0s'").unwrap_err().contains("response.limit"));
    }

    #[test]
    fn policies_fit_their_operations() {
        let policy = |rest: &str| check(&format!("[[policy]]\nname = 'x'\ndo = 'deny'\n{rest}"));
        let network = |rest: &str| policy(rest).unwrap().policy[0].network();
        for path in ["/tmp/*", "/*", "/usr/bin/nc"] {
            assert!(policy(&format!("operation = 'exec'\npath = '{path}'")).is_ok(), "{path}");
        }
        for path in ["tmp/*", "/tmp*", "/tmp/", "/a/../b", "", "/a/*/b"] {
            assert!(policy(&format!("operation = 'write'\npath = '{path}'")).is_err(), "{path}");
        }
        assert_eq!(network("operation = 'connect'\naddress = '10.0.0.0/8'"), Some(("10.0.0.0".parse().unwrap(), 8)));
        assert_eq!(network("operation = 'connect'\naddress = '::1'\nport = 80"), Some(("::1".parse().unwrap(), 128)));
        assert!(policy("operation = 'connect'\naddress = '10.0.0.0/33'").unwrap_err().contains("192.0.2.1"));
        assert!(policy("operation = 'mount'\npath = '/x'").unwrap_err().contains("neither exec nor write"));
        assert!(policy("operation = 'exec'\nport = 1").unwrap_err().contains("not connect"));
    }
}
