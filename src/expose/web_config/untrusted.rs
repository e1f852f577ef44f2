//! What do a damaged web configuration and strange credentials do? The file is whole or refused in a sentence without its secrets;
//! nobody is let in by a header that is not right to the last byte.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::WebConfig;
use crate::mutation::{damage, damaged_text, edited, edits};

/// 53 characters after the cost; whoever has the hash can try passwords at home.
const SECRET: &str = "DB0VvDIxX7s2rbyHGHdeM.TtJ.ZmfYyfGIbTxBD2LfZ9WnSvFZ8pC";

const FILE: &str = "tls_server_config:\n  cert_file: tls.crt\n  key_file: /run/tls.key\n  client_auth_type: RequireAndVerifyClientCert\n  \
    client_ca_file: ca.crt\n  client_allowed_sans: [a.example, 10.0.0.1]\n  min_version: TLS12\n  max_version: TLS13\n  \
    cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [X25519]\nhttp_server_config:\n  http2: false\n  \
    headers:\n    Strict-Transport-Security: max-age=1\n    X-Frame-Options: deny\nbasic_auth_users:\n  alice: \
    $2y$04$DB0VvDIxX7s2rbyHGHdeM.TtJ.ZmfYyfGIbTxBD2LfZ9WnSvFZ8pC\nrate_limit:\n  interval: 1s\n  burst: 20\n";

fn read(text: &str) -> Result<WebConfig, String> {
    WebConfig::parse(text, Path::new("/etc/web.yml")).map_err(|error| error.to_string())
}

/// Whole, or refused in one sentence with the place and without the secret.
fn lives(text: &str) {
    let Err(words) = read(text) else { return };
    assert!(words.contains("/etc/web.yml") && words.trim_end().lines().count() == 1, "{words}");
    assert!(words.chars().count() < 1_000, "{} characters", words.chars().count());
    assert!(!words.contains(&SECRET[SECRET.len() - 20..]), "{words}");
}

#[test]
fn the_untrusted_web_configuration_is_good_before_it_is_damaged() {
    assert!(read(FILE).is_ok());
}

#[test]
fn an_untrusted_web_configuration_of_endless_depth_or_expansion_is_refused() {
    for bomb in ["[".repeat(50_000), "a: ".repeat(20_000), "a: &a [*a]\n".to_owned(), format!("{}: 1\n", "k".repeat(100_000))] {
        assert!(read(&bomb).is_err());
        lives(&bomb);
    }
}

proptest! {
    #[test]
    fn an_untrusted_web_configuration_is_whole_or_refused_without_its_secrets(damage in damage()) {
        lives(&damaged_text(FILE, &damage));
    }

    #[test]
    fn an_untrusted_web_configuration_of_another_structure_is_whole_or_refused(edits in edits()) {
        let tree = json!({
            "tls_server_config": {"cert_file": "tls.crt", "key_file": "tls.key", "min_version": "TLS12", "cipher_suites": []},
            "http_server_config": {"http2": false, "headers": {"X-Frame-Options": "deny"}},
            "basic_auth_users": {"alice": format!("$2y$04${SECRET}")},
            "rate_limit": {"interval": "1s", "burst": 20},
        });
        lives(&edited(&tree, &edits).to_string());
    }
}
