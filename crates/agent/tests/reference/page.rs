//! Markdown.

use crate::COMMAND;

/// A page with its title, and a note for people who would edit it.
pub(crate) fn titled(title: &str) -> String {
    format!("<!-- Generated, do not edit: {COMMAND} -->\n# {title}\n")
}

/// A table; nothing where it has no rows.
pub(crate) fn table<const N: usize>(titles: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String; N]| format!("| {} |\n", cells.each_ref().map(|c| c.replace('|', "\\|")).join(" | "));
    let rows: String = rows.into_iter().map(|row| line(&row)).collect();
    if rows.is_empty() {
        return rows;
    }
    format!("\n{}|{}\n{rows}", line(&titles.map(str::to_owned)), "---|".repeat(N))
}

/// `text` as code.
pub(crate) fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// A block of code.
pub(crate) fn block(language: &str, text: &str) -> String {
    format!("\n```{language}\n{}\n```\n", text.trim_end())
}

/// A text that begins with a capital and ends with a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.trim().trim_end_matches('.').chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
