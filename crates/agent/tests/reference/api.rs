//! The HTTP API.

use serde_json::Value as Json;

use crate::page::{block, code, sentence, table, titled};

fn document() -> Json {
    let text = serde_json::to_string(&ethogram_agent::api::openapi()).unwrap();
    // utoipa 6 writes the formats of unsigned numbers with a dash; the registry of OpenAPI has none.
    serde_json::from_str(&text.replace(r#""format":"u-int"#, r#""format":"uint"#)).unwrap()
}

/// The OpenAPI document.
pub(crate) fn openapi() -> String {
    format!("{:#}\n", document())
}

pub(crate) fn page() -> String {
    let document = document();
    let mut out = titled("HTTP API")
        + "\nOn the unix socket `/run/ethogram/api.sock`, mode 0600, and on TCP only with a token, see `[api]` in the \
           [configuration](configuration.md#api). What it sends and takes in detail is in the \
           [OpenAPI document](openapi.json), which the server has at `/openapi.json` too. Errors are problem documents \
           (RFC 9457).\n"
        + &block("console", "$ curl --unix-socket /run/ethogram/api.sock http://ethogram/v1/trackers");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, about) in methods.as_object().unwrap() {
            out += &format!("\n## {} {path}\n\n", method.to_uppercase());
            let text = [&about["summary"], &about["description"]].map(|t| t.as_str().unwrap_or_default());
            out += &text.iter().filter(|t| !t.is_empty()).map(|t| sentence(t)).collect::<Vec<_>>().join("\n\n");
            out.push('\n');
            let list = |what: &str| about[what].as_array().map_or(&[][..], Vec::as_slice);
            let parameter = |p: &Json| {
                let text = |key: &str| p[key].as_str().unwrap_or_default().to_owned();
                [code(&text("name")), text("in"), text("description")]
            };
            out += &table(["parameter", "in", "meaning"], list("parameters").iter().map(parameter));
            if let Some(body) = about["requestBody"]["content"].as_object() {
                out += &format!("\nTakes {}.\n", kinds(body));
            }
            let responses = about["responses"].as_object().into_iter().flatten();
            let row = |(status, r): (&String, &Json)| {
                let content = r["content"].as_object().map(kinds).unwrap_or_default();
                [status.clone(), r["description"].as_str().unwrap_or_default().to_owned(), content]
            };
            out += &table(["status", "meaning", "content"], responses.map(row));
        }
    }
    out
}

/// The media types, each with the schema that it follows.
fn kinds(content: &serde_json::Map<String, Json>) -> String {
    let kind = |(media, about): (&String, &Json)| {
        let schema = &about["schema"];
        let name = |s: &Json| s["$ref"].as_str().and_then(|r| r.rsplit('/').next()).map(str::to_owned);
        match name(schema).or_else(|| name(&schema["items"]).map(|n| format!("list of {n}"))) {
            Some(name) => format!("{name} ({})", code(media)),
            None => code(media),
        }
    };
    content.iter().map(kind).collect::<Vec<_>>().join(" or ")
}
