//! What does the file's text mean? Every key is taken, and what is left is refused by name.

use std::path::Path;

use super::auth::Users;
use super::document::{Complaint, Node, Section, told};
use super::rate::RateLimit;
use super::{WebConfig, WebConfigError, headers, tls};

const SECTIONS: [&str; 4] = ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"];

pub(super) fn parse(text: &str, path: &Path) -> Result<WebConfig, WebConfigError> {
    let blank = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let node: Option<Node> = if blank {
        None
    } else {
        let syntax = |error: serde_saphyr::Error| WebConfigError::Syntax { path: path.to_owned(), message: first_line(&error) };
        Some(serde_saphyr::from_str(text).map_err(syntax)?)
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    read(node, folder).map_err(|Complaint { line, message }| WebConfigError::Value { path: path.to_owned(), line, message })
}

/// Without the excerpt below it: that may show a key or a hash.
fn first_line(error: &serde_saphyr::Error) -> String {
    let message = error.to_string();
    let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ").trim_end_matches(':');
    let first = told(first);
    match error.location() {
        Some(location) if !first.contains("line ") => format!("line {}: {first}", location.line()),
        _ => first,
    }
}

fn read(node: Option<Node>, folder: &Path) -> Result<WebConfig, Complaint> {
    let mut file = Section::new("", node)?;
    let mut warnings = Vec::new();
    let tls = tls::read(Section::new("tls_server_config", file.take("tls_server_config"))?, folder)?;

    let mut http = Section::new("http_server_config", file.take("http_server_config"))?;
    if http.bool("http2")? == Some(true) {
        // Not refused: it is the default of the format, and allows what no client insists on.
        warnings.push("http_server_config.http2 is true, but only HTTP/1.1 is served; clients fall back to it by themselves");
    }
    let headers = headers::read(Section::new("http_server_config.headers", http.take("headers"))?)?;
    http.finish(&["http2", "headers"])?;

    let users = Users::read(Section::new("basic_auth_users", file.take("basic_auth_users"))?)?;
    if tls.is_none() && !users.is_empty() {
        warnings.push("basic_auth_users without tls_server_config: passwords travel in clear text");
    }
    let rate_limit = RateLimit::read(Section::new("rate_limit", file.take("rate_limit"))?)?;
    file.finish(&SECTIONS)?;
    Ok(WebConfig { tls, headers, users, rate_limit, warnings })
}
