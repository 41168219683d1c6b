//! Whale Sentinel's paths with its own requests: the shapes it knows, with what we found.
use crate::door::Door;
use crate::gateway::Agent;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const SERVICES: &str = "/api/v1/ws/services";

fn request(body: &str) -> Value {
    json!({"payload": {"data": {"agent_id": "id", "agent_name": "ws_agent_shop", "client_information": {"ip": "203.0.113.7", "platform": "Windows"},
        "http_request": {"method": "POST", "url": "/login", "scheme": "https", "host": "shop.example", "endpoint": "login",
            "headers": {"user-agent": "Mozilla/5.0", "content-type": "application/x-www-form-urlencoded", "content-length": body.len(), "accept": "*/*"},
            "query_parameters": "", "body": body, "files": []}}}, "request_created_at": "2026-11-20T10:00:00Z"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_agents_and_services_get_the_answers_they_know() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let agent = Agent::make(&door, &admin, "ws_agent_shop", None).await;
    let ask = async |path: &str, body: &Value| agent.post(&door, &format!("{SERVICES}{path}"), body).await;
    let bad = ask("/gateway", &request("user=a&pass=x%27%20or%201=1--%20")).await.expect(200).json();
    assert_eq!((&bad["status"], &bad["analysis_result"], &bad["request_created_at"]), (&json!("Success"), &json!("ABNORMAL_REQUEST"), &json!("2026-11-20T10:00:00Z")));
    let data = &bad["data"];
    assert!(data["ws_module_web_attack_detection_predict_score"].as_f64().unwrap() > 50.0, "{bad}");
    assert_eq!(data["ws_module_web_attack_detection_predict_score"], data["ws_module_web_attack_detection_score"]);
    assert!(data.get("ws_module_dga_detection_predict_score").is_some() && data.get("ws_module_dga_detection_score").is_some());
    assert_eq!(data["ws_module_common_attack_detection"]["sql_injection_detection"], true);
    assert!(bad["event_info"].as_str().unwrap().starts_with("ws_agent_shop|WS_GATEWAY_SERVICE|"));
    let good = ask("/gateway", &request("user=ana&pass=right")).await.expect(200).json();
    assert_eq!(good["analysis_result"], "NORMAL_REQUEST");
    assert!(good["data"]["ws_module_common_attack_detection"].as_object().unwrap().values().all(|v| *v == json!(false)), "{good}");
    let sentence = |text: &str| json!({"payload": {"data": {"agent_id": "id", "agent_name": "ws_agent_shop", "sentence": text}}, "request_created_at": "2026-11-20T10:00:00Z"});
    for (domain, class) in [("xjqzkvwbtrpldmng.com", 1), ("wikipedia.org", 0)] {
        let told = ask("/dga-detection", &sentence(domain)).await.expect(200).json();
        let told = &told["data"]["threat_metrix"];
        assert_eq!((&told["domain"], &told["class"]), (&json!(domain), &json!(class)), "{told}");
    }
    let common = ask("/common-attack-detection", &request("q=<script>alert(1)</script>")).await.expect(200).json();
    assert_eq!((&common["data"]["cross_site_scripting_detection"], &common["analysis_result"]), (&json!(true), &json!("ABNORMAL_REQUEST")));
    let normal = ask("/common-attack-detection", &request("q=1")).await.expect(200).json();
    assert_eq!(normal["analysis_result"], "NORNAL_REQUEST");
    let sentence = json!({"event_info": "e|f|g", "payload": {"data": {"sentence": "1' UNION SELECT a FROM b-- "}}, "request_created_at": "x"});
    let text = ask("/web-attack-detection", &sentence).await.expect(200).json();
    assert!(text["data"]["threat_metrix"]["score"].as_f64().unwrap() > 50.0, "{text}");
    assert_eq!((&text["event_info"], &text["status"]), (&json!("e|f|g"), &json!("success")));
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_uploads_are_inspected_by_their_contents() {
    let door = Door::open().await;
    let admin = door.admin().await;
    let agent = Agent::make(&door, &admin, "ws_agent_shop", None).await;
    let mut upload = request("");
    let shell = STANDARD.encode("<?php system($_GET['c']); ?>");
    upload["payload"]["data"]["http_request"]["files"] = json!([{"file_name": "a.php", "file_size": 28, "file_content": shell, "file_type": "image/png"}]);
    let told = agent.post(&door, &format!("{SERVICES}/gateway"), &upload).await.expect(200).json();
    assert_eq!(told["data"]["ws_module_common_attack_detection"]["insecure_file_upload_detection"], true, "{told}");
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_profiles_are_ours_and_its_basic_form_must_be_switched_on() {
    let door = Door::with(|config| config.whale_basic = true).await;
    let admin = door.admin().await;
    let agent = Agent::make(&door, &admin, "ws_agent_shop", None).await;
    let basic = format!("Basic {}", STANDARD.encode(format!("ws-agent:{}", agent.secret)));
    let named = json!({"payload": {"data": {"agent_id": agent.id, "agent_name": "ws_agent_shop", "profile": {"lite_mode_data_synchronize_status": "inprogress"},
        "host_information": {"ip_address": "10.0.0.5", "pid": 100, "run_as": "www", "os_name": "Linux", "architecture": "x86_64"}}}, "request_created_at": "t"});
    let post = async |path: &str, authorization: &str, body: &Value| door.post_json(&format!("{SERVICES}{path}"), &[("Authorization", authorization)], body.clone()).await;
    let profile = post("/gateway/agent/profile", &basic, &named).await.json();
    let told = &profile["data"]["profile"];
    assert_eq!((&told["running_mode"], &told["lite_mode_data_synchronize_status"]), (&json!("monitor"), &json!("none")));
    let synchronized = post("/gateway/agent/synchronize", &basic, &named).await.json();
    assert_eq!(synchronized["data"]["profile"]["lite_mode_data_synchronize_status"], "inprogress");
    let detail = door.get(&format!("/api/v1/agents/{}", agent.id), &admin.headers()).await.expect(200).json();
    assert_eq!((&detail["instances"][0]["hello"]["host"]["run_as"], &detail["agent"]["status"]), (&json!("www"), &json!("online")));
    let (key, _) = door.make_key(&admin, "service", &["inspect"]).await;
    let bearer = format!("Bearer {key}");
    let configuration = json!({"payload": {"data": {"type": "agent", "name": "ws_agent_shop", "id": ""}}, "request_created_at": "t"});
    let text = post("/configuration/profile", &bearer, &configuration).await.json();
    let inner: Value = serde_json::from_str(text["data"]["profile"].as_str().unwrap()).unwrap();
    assert_eq!(inner["profile"]["lite_mode_data_synchronize_status"], "inprogress");
    let errors = [
        (post("/gateway/agent/profile", "Basic eDp5", &named).await, 401),
        (post("/gateway", &basic, &json!({"payload": {}})).await, 400),
        (post("/configuration/profile", &bearer, &json!({"payload": {"data": {"type": "agent", "name": "nobody"}}})).await, 404),
        (post("/configuration/profile", &bearer, &json!({"payload": {"data": {"type": "service", "name": "x"}}})).await, 404),
    ];
    for (answer, status) in errors {
        assert_eq!((answer.status, &answer.json()["error_code"], &answer.json()["status"]), (status, &json!(status), &json!("Error")));
    }
    // Elsewhere it is no credential.
    door.post_json("/api/v1/inspect", &[("Authorization", &basic)], json!({})).await.expect(401);
    door.close().await;
    let off = Door::open().await;
    let answer = off.post_json(&format!("{SERVICES}/gateway"), &[("Authorization", &basic)], named).await;
    assert_eq!((answer.status, &answer.json()["error_code"]), (401, &json!(401)));
    off.close().await;
}
