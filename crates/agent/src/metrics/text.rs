//! The Prometheus text format 0.0.4 and OpenMetrics 1.0.0: most clients can write only one of them.

use std::fmt::{Display, Write};

/// One of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// What Prometheus has always read, and what a browser shows.
    Prometheus,
    /// What it prefers now.
    OpenMetrics,
}

impl Format {
    /// The one that the `Accept` header of a request asks for; the older one where it does not say.
    pub fn asked_for(accept: &str) -> Self {
        let weight = |wanted: &str| {
            accept
                .split(',')
                .filter_map(|range| {
                    let mut parts = range.split(';').map(str::trim);
                    parts.next().filter(|t| t.eq_ignore_ascii_case(wanted))?;
                    Some(parts.find_map(|p| p.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0)))
                })
                .fold(0.0, f64::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` of an answer in it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only ever grows. Its samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A page of metrics as it is written.
pub(super) struct Page {
    format: Format,
    out: String,
    /// The name that samples of the current family bear.
    name: String,
}

impl Page {
    pub(super) fn new(format: Format) -> Self {
        Self { format, out: String::with_capacity(8192), name: String::new() }
    }

    /// Begins a metric. The name is without `_total`.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let (suffix, kind) = match kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
        };
        self.name = format!("{name}{suffix}");
        // The newer format names the family, the older one its samples.
        let named = if self.format == Format::OpenMetrics { name } else { &self.name };
        self.out += &format!("# HELP {named} {}\n# TYPE {named} {kind}\n", escaped(help));
    }

    /// Adds a sample to the current metric.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.out += &self.name;
        for (i, (name, value)) in labels.iter().enumerate() {
            let before = if i == 0 { '{' } else { ',' };
            self.out += &format!("{before}{name}=\"{}\"", escaped(value));
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.out, " {value}");
    }

    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out += "# EOF\n";
        }
        self.out
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
