use crate::door::Door;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_served_with_its_headers_and_nothing_else_of_the_disk() {
    let door = Door::open().await;
    for path in ["/", "/alerts", "/events?x=1"] {
        let page = door.get(path, &[]).await;
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        let csp = page.header("content-security-policy").unwrap();
        assert!(csp.contains("default-src 'self'") && csp.contains("frame-ancestors 'none'"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert!(page.header("referrer-policy").is_some());
    }
    for path in ["/assets/nothing.js", "/assets/../../Cargo.toml", "/assets/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/assets//etc/passwd", "/assets/..\\x"] {
        let answer = door.get(path, &[]).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
        assert!(!answer.text().contains("root:"));
    }
    assert_eq!(door.call("POST", "/", &[], b"x").await.status, 405);
    // If the dashboard is built in, its scripts are kept for ever and packed.
    let page = door.get("/", &[]).await.text();
    if let Some(script) = page.split('"').find(|part| part.starts_with("/assets/") && part.ends_with(".js")) {
        let plain = door.get(script, &[]).await;
        assert!(plain.header("cache-control").unwrap().contains("immutable"));
        let packed = door.get(script, &[("Accept-Encoding", "br, gzip")]).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        assert!(packed.body.len() < plain.body.len());
        let etag = plain.header("etag").unwrap();
        assert_eq!(door.get(script, &[("If-None-Match", etag)]).await.status, 304);
    }
    door.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_learn_health_readiness_metrics_and_the_document() {
    let door = Door::open().await;
    assert_eq!(door.get("/healthz", &[]).await.text(), "ok\n");
    assert_eq!(door.get("/readyz", &[]).await.json()["ready"], true);
    door.call("POST", "/api/logs", &[], b"{}").await.expect(202);
    door.get("/api/v1/overview", &[("Authorization", "Bearer x")]).await.expect(401);
    let metrics = door.get("/metrics", &[]).await.text();
    for line in [
        "erne_http_requests_total{route=\"/api/logs\",status=\"202\"} 1",
        "erne_auth_failures_total{reason=\"token\"} 1",
        // How many is a matter of when closed connections are noticed.
        "erne_http_connections ",
        "erne_http_ingested_bytes_total 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(metrics.ends_with("# EOF\n") && metrics.matches("# EOF").count() == 1);
    let document = door.get("/api/openapi.json", &[]).await.json();
    assert!(document["paths"].as_object().unwrap().len() > 30);
    door.close().await;
}
