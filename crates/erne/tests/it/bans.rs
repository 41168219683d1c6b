//! Findings ban, once, whatever is killed; and a ban is enforced by the running server.

use crate::server::{Client, Server, erne};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

fn stop_logging(client: &Client, id: &str, ip: &str) {
    let event = json!({
        "eventVersion": "1.08", "eventID": id, "eventTime": jiff::Timestamp::now().to_string(), "eventName": "StopLogging",
        "eventSource": "cloudtrail.amazonaws.com", "awsRegion": "eu-central-1", "sourceIPAddress": ip, "userAgent": "aws-cli/2",
        "eventType": "AwsApiCall", "recipientAccountId": "123456789012", "readOnly": false, "requestParameters": {"name": "trail"},
        "responseElements": null, "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/mallory", "accountId": "123456789012", "userName": "mallory"},
    });
    let (status, answer) = client.post("/api/v1/ingest?source=trail", &[], event.to_string().as_bytes()).unwrap();
    assert_eq!(status, 202, "{answer}");
}

/// Network, state and whether it is a dry run, of each ban.
fn bans(client: &Client) -> Vec<(String, String, bool)> {
    let text = |ban: &Value, name: &str| ban[name].as_str().unwrap().to_owned();
    let mut bans: Vec<_> = client.all("/api/v1/bans?q=").iter().map(|ban| (text(ban, "cidr"), text(ban, "state"), ban["dry_run"] == true)).collect();
    bans.sort();
    bans
}

fn active(cidr: &str) -> (String, String, bool) {
    (cidr.to_owned(), "active".to_owned(), false)
}

fn config(dir: &Path, text: &str) -> String {
    let path = dir.join("erne.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

const RULES: &str = "[[answer.rules]]\nlevels = [\"low\", \"medium\", \"high\", \"critical\"]\nban_secs = 3600\n";

#[test]
fn findings_ban_once_within_their_cap_and_never_whom_they_must_not() {
    let (dir, etc) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = config(etc.path(), &format!("[answer]\nautomatic = true\ndry_run = false\nbans_per_hour = 2\ntrust = [\"198.51.100.0/24\"]\n{RULES}"));
    let arguments = ["--config", file.as_str()];
    let mut server = Server::start_with(dir.path(), &arguments, &[]);
    let client = server.client();
    stop_logging(&client, "e1", "203.0.113.7");
    stop_logging(&client, "e2", "203.0.113.7");
    stop_logging(&client, "e3", "198.51.100.9");
    stop_logging(&client, "e4", "2a00:1450::7");
    client.until("/api/v1/answer", |status| status["bans_last_hour"] == 2 && status["refused"]["trusted"].as_u64() >= Some(1));
    let both = [active("203.0.113.7/32"), active("2a00:1450::/64")];
    assert_eq!(bans(&client), both);
    let listed = client.all("/api/v1/bans?q=203.0.113.7");
    assert_eq!((&listed[0]["source"], &listed[0]["actor"]), (&json!("rule"), &json!("erne")));
    assert!(listed[0]["rule"].is_string() && listed[0]["alert"].is_string() && listed[0]["until"].is_string(), "{}", listed[0]);
    let alert = client.get(&format!("/api/v1/alerts/{}", listed[0]["alert"].as_str().unwrap()));
    assert_eq!(alert["alert"]["source_ip"], "203.0.113.7");
    // The hour has had its two.
    stop_logging(&client, "e5", "203.0.113.8");
    client.until("/api/v1/answer", |status| status["refused"]["rate"].as_u64() >= Some(1));
    assert_eq!(bans(&client), both);
    // Killed and started again, and once more: nothing doubles.
    for _ in 0..2 {
        server.kill();
        server = Server::start_with(dir.path(), &arguments, &[]);
        server.client().settle();
        assert_eq!(bans(&server.client()), both);
    }
    server.stop();
    // With room for more, and after somebody has let one in: that one is not banned again by the same rule.
    let file = config(etc.path(), &format!("[answer]\nautomatic = true\ndry_run = false\ntrust = [\"198.51.100.0/24\"]\n{RULES}"));
    let server = Server::start_with(dir.path(), &["--config", &file], &[]);
    let client = server.client();
    let said = command(&server, &["undo", "203.0.113.7", "--reason", "our own scanner"]);
    assert!(said.contains("203.0.113.7/32 is let in again"), "{said}");
    stop_logging(&client, "e6", "203.0.113.7");
    stop_logging(&client, "e7", "203.0.113.9");
    client.until("/api/v1/answer", |status| status["refused"]["judged"] == 1);
    client.until("/api/v1/bans?state=active&q=203.0.113.9", |page| page["total"] == 1);
    assert_eq!(bans(&client), [("203.0.113.7/32".into(), "undone".into(), false), active("203.0.113.9/32"), active("2a00:1450::/64")]);
    // By hand, from the command line, with the key that lies beside the data.
    let said = command(&server, &["add", "203.0.114.0/24", "--reason", "by hand", "--for", "2h"]);
    assert!(said.contains("203.0.114.0/24") && said.contains("active"), "{said}");
    assert!(command(&server, &["list"]).contains("by hand"));
    assert!(command(&server, &["add", "198.51.100.1", "--reason", "x"]).contains("is trusted"));
    let list = etc.path().join("block.txt");
    std::fs::write(&list, "203.0.115.1\n203.0.115.2 # x\nbroken\n").unwrap();
    let said = command(&server, &["import", list.to_str().unwrap(), "--for", "1d"]);
    assert!(said.contains("2 of 2 networks are new bans") && said.contains("broken"), "{said}");
    server.stop();
}

#[test]
fn a_dry_run_says_whom_it_would_have_banned_and_keeps_nobody_out() {
    let (dir, etc) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = config(etc.path(), &format!("[answer]\nautomatic = true\n{RULES}"));
    let server = Server::start_with(dir.path(), &["--config", &file], &[]);
    let client = server.client();
    stop_logging(&client, "e1", "203.0.113.7");
    client.until("/api/v1/answer", |status| status["dry"] == 1 && status["networks"] == 0 && status["dry_run"] == true);
    assert_eq!(bans(&client), [("203.0.113.7/32".to_owned(), "active".to_owned(), true)]);
    let mut list = client.agent.get(format!("{}/api/v1/bans/list", server.url)).header("authorization", format!("Bearer {}", client.key)).call().unwrap();
    assert_eq!(list.body_mut().read_to_string().unwrap(), "");
    server.stop();
}

#[test]
fn the_server_brings_bans_to_the_firewall_and_takes_them_back() {
    let namespace = format!("erne-it{}", std::process::id());
    let run = |arguments: &[&str]| Command::new("ip").args(arguments).stderr(Stdio::null()).output().is_ok_and(|output| output.status.success());
    if !run(&["netns", "add", &namespace]) || !run(&["netns", "exec", &namespace, "nft", "list", "ruleset"]) {
        run(&["netns", "del", &namespace]);
        eprintln!("skipped: network namespaces with nftables are not permitted here");
        return;
    }
    let ruleset = || String::from_utf8(Command::new("ip").args(["netns", "exec", &namespace, "nft", "list", "ruleset"]).output().unwrap().stdout).unwrap();
    let (dir, etc) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = config(
        etc.path(),
        &format!("[[answer.actions]]\ntype = \"nftables\"\nname = \"fw\"\ncommand = [\"ip\", \"netns\", \"exec\", {namespace:?}, \"nft\"]\n\n[[answer.actions]]\ntype = \"nftables\"\nname = \"away\"\ncommand = [\"/no/such/nft\"]\n"),
    );
    let arguments = ["--config", file.as_str()];
    let mut server = Server::start_with(dir.path(), &arguments, &[]);
    command(&server, &["add", "203.0.113.7", "--reason", "x", "--for", "1h"]);
    command(&server, &["add", "203.0.113.8", "--reason", "y"]);
    let states = |page: &Value| page["items"][0]["actions"].as_array().unwrap().iter().map(|a| a["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    server.client().until("/api/v1/bans?state=active&q=203.0.113.8", |page| states(page) == ["applied", "failed"]);
    let page = server.client().until("/api/v1/bans?state=active&q=203.0.113.7", |page| states(page) == ["applied", "failed"]);
    assert!(page["items"][0]["actions"][1]["error"].as_str().unwrap().contains("/no/such/nft cannot be run"), "{page}");
    assert!(ruleset().contains("203.0.113.7") && ruleset().contains("203.0.113.8"), "{}", ruleset());
    assert!(server.client().get("/readyz")["notices"].to_string().contains("action away"));
    // What changed at the target while the server was away is put right at its start.
    server.kill();
    assert!(run(&["netns", "exec", &namespace, "nft", "delete element inet erne bans4 { 203.0.113.7 }"]) && run(&["netns", "exec", &namespace, "nft", "add element inet erne bans4 { 9.9.9.9 }"]));
    server = Server::start_with(dir.path(), &arguments, &[]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !ruleset().contains("203.0.113.7") || ruleset().contains("9.9.9.9") {
        assert!(std::time::Instant::now() < deadline, "{}", ruleset());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    command(&server, &["undo", "203.0.113.7"]);
    while ruleset().contains("203.0.113.7") {
        assert!(std::time::Instant::now() < deadline, "{}", ruleset());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(ruleset().contains("203.0.113.8"));
    server.stop();
    run(&["netns", "del", &namespace]);
}

/// What `erne bans` says, on both outputs.
fn command(server: &Server, arguments: &[&str]) -> String {
    let output = erne().arg("bans").args(arguments).args(["--url", &server.url, "--data-dir"]).arg(&server.dir).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
