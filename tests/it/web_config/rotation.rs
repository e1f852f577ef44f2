//! What happens when the files change while the daemon runs?

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use super::curl::{Heard, curl};
use super::{COLOURS, SECRET, Stage, TLS, text};
use crate::support::{Daemon, eventually};

/// The daemon looks every two seconds.
const SOON: Duration = Duration::from_secs(30);

fn ask(stage: &Stage, daemon: &Daemon, path: &str, arguments: &[&str]) -> Heard {
    let (ca, url) = (text(&stage.authority.certificate()), format!("https://localhost:{}{path}", daemon.address.port()));
    curl([&["--cacert", ca.as_str(), "--ipv4", url.as_str()], arguments].concat())
}

/// The name in the certificate that a new connection sees.
fn subject(heard: &Heard) -> String {
    heard.log.lines().find_map(|line| line.split_once("subject: CN=")).map(|(_, name)| name.to_owned()).unwrap_or_default()
}

fn reloaded_well(heard: &Heard) -> Option<bool> {
    let line = heard.body.lines().find_map(|line| line.strip_prefix("eks_nlb_web_config_last_reload_successful "))?;
    Some(line == "1")
}

/// As the kubelet does it: every file is a link through `..data`, which is moved over in one step.
fn publish(stage: &Stage, generation: &str, files: &[(&str, &str)]) {
    let folder = stage.path(generation);
    fs::create_dir(&folder).unwrap();
    for (name, from) in files {
        fs::copy(stage.path(from), folder.join(name)).unwrap();
        if fs::symlink_metadata(stage.path(name)).is_err() {
            symlink(format!("..data/{name}"), stage.path(name)).unwrap();
        }
    }
    symlink(generation, stage.path("..data_tmp")).unwrap();
    fs::rename(stage.path("..data_tmp"), stage.path("..data")).unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_a_broken_one_is_not() {
    let stage = Stage::new();
    publish(&stage, "1", &[("tls.crt", "server.crt"), ("tls.key", "server.key")]);
    let daemon = stage.daemon("tls_server_config:\n  cert_file: tls.crt\n  key_file: tls.key\n").await;
    let heard = ask(&stage, &daemon, "/metrics", &[]);
    assert_eq!((subject(&heard).as_str(), reloaded_well(&heard)), ("first", Some(true)), "{}", heard.log);

    stage.authority.certify("next", "second", "DNS:localhost");
    publish(&stage, "2", &[("tls.crt", "next.crt"), ("tls.key", "next.key")]);
    eventually("the second certificate is shown", SOON, async || {
        let heard = ask(&stage, &daemon, "/metrics", &[]);
        if subject(&heard) == "second" { Ok(()) } else { Err(heard.log) }
    })
    .await;

    // A certificate without its key.
    publish(&stage, "3", &[("tls.crt", "server.crt"), ("tls.key", "next.key")]);
    eventually("the mistake is shown", SOON, async || {
        let heard = ask(&stage, &daemon, "/metrics", &[]);
        assert_eq!(subject(&heard), "second", "the one before stays");
        if reloaded_well(&heard) == Some(false) { Ok(()) } else { Err(heard.body) }
    })
    .await;
    assert!(daemon.program.output().contains("the key is not that of the certificate"), "{}", daemon.program.output());
    let told = daemon.program.output().matches("was not read again").count();

    // No certificate at all.
    stage.write("garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    publish(&stage, "4", &[("tls.crt", "garbage"), ("tls.key", "next.key")]);
    eventually("the next mistake is told", SOON, async || {
        assert_eq!(subject(&ask(&stage, &daemon, "/metrics", &[])), "second");
        if daemon.program.output().matches("was not read again").count() > told { Ok(()) } else { Err("not yet") }
    })
    .await;

    stage.authority.certify("third", "third", "DNS:localhost");
    publish(&stage, "5", &[("tls.crt", "third.crt"), ("tls.key", "third.key")]);
    eventually("the third certificate is shown", SOON, async || {
        let heard = ask(&stage, &daemon, "/metrics", &[]);
        if subject(&heard) == "third" && reloaded_well(&heard) == Some(true) { Ok(()) } else { Err(heard.log) }
    })
    .await;
}

#[tokio::test]
async fn users_and_headers_change_by_reload_and_by_themselves_and_a_mistake_changes_nothing() {
    let stage = Stage::new();
    let with = |rest: &str| format!("{TLS}basic_auth_users:\n{rest}");
    let alice = format!("  alice: {SECRET}\n");
    let daemon = stage.daemon(&with(&alice)).await;
    let status = |user: &str| ask(&stage, &daemon, "/-/healthy", &["--user", user]).status;
    assert_eq!((status("alice:s3cret"), status("bob:grün:weiß")), (200, 401));

    // By POST: at once.
    stage.write("web.yml", &with(&format!("  bob: {COLOURS}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n")));
    let heard = ask(&stage, &daemon, "/-/reload", &["--request", "POST", "--user", "bob:grün:weiß"]);
    // The daemon may have seen the change itself already; else bob is not known yet.
    let heard = if heard.status == 401 {
        ask(&stage, &daemon, "/-/reload", &["--request", "POST", "--user", "alice:s3cret"])
    } else {
        heard
    };
    assert_eq!(heard.status, 200, "{heard:?}");
    assert_eq!((status("alice:s3cret"), status("bob:grün:weiß")), (401, 200), "who was remembered is forgotten");
    assert_eq!(ask(&stage, &daemon, "/-/healthy", &["--user", "bob:grün:weiß"]).header("x-frame-options"), Some("deny"));

    // A mistake.
    stage.write("web.yml", &with("  bob: s3cret\n"));
    let heard = ask(&stage, &daemon, "/-/reload", &["--request", "POST", "--user", "bob:grün:weiß"]);
    assert_eq!(heard.status, 500);
    assert!(heard.body.contains("basic_auth_users.bob is no bcrypt hash") && !heard.body.contains("s3cret"), "{}", heard.body);
    assert_eq!(status("bob:grün:weiß"), 200);

    // No TLS any more: passwords must not begin to travel in clear text by a slip.
    stage.write("web.yml", &format!("basic_auth_users:\n{alice}"));
    let heard = ask(&stage, &daemon, "/-/reload", &["--request", "POST", "--user", "bob:grün:weiß"]);
    assert!(heard.status == 500 && heard.body.contains("TLS is switched on or off by a restart only"), "{heard:?}");
    assert_eq!((status("alice:s3cret"), status("bob:grün:weiß")), (401, 200));

    // By a signal.
    stage.write("web.yml", &with(&alice));
    assert!(Command::new("kill").args(["-s", "HUP", &daemon.program.id().to_string()]).status().unwrap().success());
    eventually("alice is back", SOON, async || if status("alice:s3cret") == 200 { Ok(()) } else { Err("not yet") }).await;

    // By themselves.
    stage.write("web.yml", &with(&format!("{alice}  bob: {COLOURS}\n")));
    eventually("bob is back", SOON, async || if status("bob:grün:weiß") == 200 { Ok(()) } else { Err("not yet") }).await;
    fs::remove_file(stage.path("web.yml")).unwrap();
    eventually("the loss of the file is told", SOON, async || {
        if daemon.program.output().contains("cannot be read") { Ok(()) } else { Err("not yet") }
    })
    .await;
    assert_eq!(status("bob:grün:weiß"), 200);
}
