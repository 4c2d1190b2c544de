//! Whether the kernel can refuse operations, as policies and `deny` want.

use ethogram_model::schema::PolicyOperation;
use ethogram_probe::{Enforcer, Matcher, Policy, Ruling};
use serde::Serialize;

use super::kernel::Kernel;
use crate::{
    config::{Act, Config, Mode},
    response::policies_refused,
};

/// Found out by trying.
#[derive(Debug, Default, Serialize)]
pub(super) struct Denial {
    /// Whether it can.
    pub(super) works: bool,
    /// Why it cannot.
    pub(super) reason: Option<String>,
    /// What would let it.
    pub(super) remedy: Option<String>,
    /// The configured policies that are not enforced here, and why.
    pub(super) not_enforced: Vec<(String, String)>,
    /// Whether an action asks for `deny`.
    pub(super) wanted: bool,
}

impl Denial {
    pub(super) fn inspect(config: &Config, kernel: &Kernel) -> Self {
        // They apply to no container, and are gone at once.
        let tries = PolicyOperation::ALL.map(|operation| Policy {
            operation,
            matchers: vec![Matcher::Any],
            ruling: Ruling::Deny,
            exact: false,
            fail_closed: false,
        });
        let reason = match Enforcer::start(&tries, None, true) {
            Ok(enforcer) => (0..tries.len()).find_map(|index| enforcer.refusal(index).map(str::to_owned)),
            Err(error) => Some(error.to_string()),
        };
        let is_on = config.response.mode != Mode::Off;
        Self {
            works: reason.is_none(),
            remedy: reason.as_ref().map(|_| remedy(kernel)),
            reason,
            not_enforced: if is_on { policies_refused(&config.response) } else { Vec::new() },
            wanted: is_on && config.response.action.iter().any(|a| a.act == Act::Deny),
        }
    }

    /// What is wrong, where the configuration asks for denials.
    pub(super) fn problems(&self) -> Vec<String> {
        let remedy = self.remedy.as_deref().unwrap_or("see the reason");
        let refused = self.not_enforced.iter();
        let mut out: Vec<_> =
            refused.map(|(name, reason)| format!("policy '{name}' is not enforced: {reason}; {remedy}")).collect();
        if let Some(reason) = self.reason.as_ref().filter(|_| self.wanted) {
            out.push(format!("no rule can deny anything, they only alert: {reason}; {remedy}"));
        }
        out
    }
}

fn remedy(kernel: &Kernel) -> String {
    let modules = &kernel.security_modules;
    if kernel.lacks("CONFIG_BPF_LSM") {
        return "take a kernel that is built with CONFIG_BPF_LSM".into();
    }
    match &modules.names {
        Some(names) if modules.bpf == Some(false) => {
            format!("start the kernel with lsm={},bpf", names.join(","))
        }
        _ => "take a kernel and privileges that allow programs on security hooks (CONFIG_BPF_LSM, CONFIG_FUNCTION_TRACER)".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::kernel::SecurityModules;

    #[test]
    fn what_would_let_it_goes_by_what_is_missing() {
        let names = Some(vec!["lockdown".to_owned(), "yama".to_owned()]);
        let security_modules = SecurityModules { names, bpf: Some(false), active: true };
        let kernel = Kernel { security_modules, ..Kernel::default() };
        assert_eq!(remedy(&kernel), "start the kernel with lsm=lockdown,yama,bpf");
        assert!(remedy(&Kernel::default()).contains("CONFIG_BPF_LSM"));
    }

    #[test]
    fn a_problem_is_reported_only_where_it_matters() {
        let cannot = || Denial { reason: Some("no".into()), remedy: Some("do this".into()), ..Denial::default() };
        assert!(cannot().problems().is_empty());
        let wanted = Denial { wanted: true, not_enforced: vec![("a".into(), "no".into())], ..cannot() };
        let problems =
            ["policy 'a' is not enforced: no; do this", "no rule can deny anything, they only alert: no; do this"];
        assert_eq!(wanted.problems(), problems);
    }
}
