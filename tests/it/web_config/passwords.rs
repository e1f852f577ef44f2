//! Who is let in by name and password, and which headers does each answer carry?

use super::curl::{Heard, curl};
use super::{COLOURS, SECRET, Stage, TLS, text};

#[tokio::test]
async fn only_right_names_and_passwords_are_let_in_on_every_path() {
    let stage = Stage::new();
    let daemon = stage.daemon(&format!("{TLS}basic_auth_users:\n  alice: {SECRET}\n  zoë: {COLOURS}\n")).await;
    let ca = text(&stage.authority.certificate());
    let ask = |path: &str, arguments: &[&str]| -> Heard {
        let url = format!("https://localhost:{}{path}", daemon.address.port());
        curl([&["--cacert", ca.as_str(), "--ipv4", url.as_str()], arguments].concat())
    };
    for path in ["/metrics", "/", "/-/healthy", "/-/ready", "/api/v1/findings", "/style.css", "/nothing"] {
        let heard = ask(path, &[]);
        assert_eq!(heard.status, 401, "{path}");
        assert_eq!(heard.header("www-authenticate"), Some(r#"Basic realm="eks-nlb-exporter", charset="UTF-8""#), "{path}");
        assert!(!heard.body.contains("eks_nlb"), "{path}");
    }
    assert_eq!(ask("/-/reload", &["--request", "POST"]).status, 401);
    for (credentials, status) in [
        ("alice:s3cret", 200),
        ("alice:s3cret", 200),
        ("zoë:grün:weiß", 200),
        ("alice:S3cret", 401),
        ("alice:", 401),
        (":s3cret", 401),
        ("bob:s3cret", 401),
        ("zoë:s3cret", 401),
        ("zoe:grün:weiß", 401),
        ("alice:grün:weiß", 401),
    ] {
        assert_eq!(ask("/metrics", &["--user", credentials]).status, status, "{credentials}");
    }
    for header in
        ["Authorization: Basic", "Authorization: Basic !!", "Authorization: Bearer s3cret", "Authorization: Basic YWxpY2U="]
    {
        assert_eq!(ask("/metrics", &["--header", header]).status, 401, "{header}");
    }
    assert_eq!(ask("/-/healthy", &["--user", "alice:s3cret"]).status, 200);
    assert_eq!(ask("/nothing", &["--user", "alice:s3cret"]).status, 404);
    let counted = ask("/metrics", &["--user", "alice:s3cret"]).body;
    let refused = counted.lines().find_map(|line| line.strip_prefix("eks_nlb_web_refusals_total{reason=\"credentials\"} "));
    assert_eq!(refused, Some("19"), "{counted}");
    for secret in ["s3cret", "grün", "abcdefghijklmnopqrstuu"] {
        assert!(!daemon.program.output().contains(secret), "the log tells {secret}");
    }
}

#[tokio::test]
async fn the_configured_headers_are_on_every_answer() {
    let stage = Stage::new();
    let config = format!(
        "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=31536000\n    X-Frame-Options: sameorigin\n    \
         X-Content-Type-Options: nosniff\n    X-XSS-Protection: \"0\"\n    Content-Security-Policy: frame-ancestors 'self'\n\
         basic_auth_users:\n  alice: {SECRET}\n"
    );
    let daemon = stage.daemon(&config).await;
    let user = ["--user", "alice:s3cret"];
    let cases: [(&str, &[&str], u16); 7] = [
        ("/metrics", &user, 200),
        ("/", &user, 200),
        ("/-/ready", &user, 503),
        ("/nothing", &user, 404),
        ("/metrics", &["--request", "DELETE", user[0], user[1]], 405),
        ("/metrics", &[], 401),
        ("/metrics", &["--header", "Transfer-Encoding: chunked", "--data", "x"], 400),
    ];
    for (path, arguments, status) in cases {
        let heard = curl([&[daemon.url(path).as_str()], arguments].concat());
        assert_eq!(heard.status, status, "{path}");
        for (name, value) in [
            ("strict-transport-security", "max-age=31536000"),
            ("x-frame-options", "sameorigin"),
            ("x-content-type-options", "nosniff"),
            ("x-xss-protection", "0"),
            ("content-security-policy", "frame-ancestors 'self'"),
        ] {
            assert_eq!(heard.header(name), Some(value), "{path} {arguments:?}");
        }
    }
}

#[tokio::test]
async fn requests_beyond_the_rate_limit_are_refused() {
    let stage = Stage::new();
    let daemon = stage.daemon("rate_limit: {interval: 1h, burst: 3}\n").await;
    let statuses = [(); 5].map(|()| curl([daemon.url("/-/healthy").as_str()]).status);
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
}

#[tokio::test]
async fn many_wrong_passwords_do_not_keep_out_who_was_let_in_before() {
    let stage = Stage::new();
    // Costs some seconds each in an unoptimised build.
    let dear = "$2b$12$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG";
    let daemon = stage.daemon(&format!("basic_auth_users:\n  alice: {SECRET}\n  bob: {dear}\n")).await;
    let url = daemon.url("/metrics");
    assert_eq!(curl(["--user", "alice:s3cret", &url]).status, 200);
    let flood: Vec<_> = (0..8)
        .map(|number| {
            let url = url.clone();
            std::thread::spawn(move || curl(["--max-time", "2", "--user", &format!("bob:{number}"), &url]).status)
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(curl(["--user", "alice:s3cret", &url]).status, 200);
    }
    for one in flood {
        assert_ne!(one.join().unwrap(), 200);
    }
}
