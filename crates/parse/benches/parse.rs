//! Time per event of each format, one thread: `cargo bench -p parse`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use event::{Record, Timestamp};
use std::hint::black_box;

const EVENTS: usize = 200;

fn app_log() -> String {
    let line = r#"{"service":"checkout","status_code":500,"message":"request \"GET /cart/items?id=1%27%20OR%201=1&page=3 HTTP/1.1\" from 198.51.100.7 failed after 3 attempts: upstream payment service answered 502 bad gateway, giving up","timestamp":"2026-11-20T10:00:00.123456Z","level":"error","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","hostname":"checkout-7d9f8b6c5-x2x9k","user":"alice@example.com","user_agent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64)","region":"eu-west-1"}"#;
    format!("{line}\n").repeat(EVENTS)
}

fn access_log() -> String {
    let line = r#"198.51.100.7 - - [20/Nov/2026:10:00:00 +0000] "GET /products/search?category=books&q=linux%20kernel&sort=price&page=3&session=4bf92f3577b34da6a3ce929d0e0e4736 HTTP/1.1" 200 18432 "https://shop.example/products/search?category=books&q=linux&sort=price&page=2&session=4bf92f3577b34da6a3ce929d0e0e4736" "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36" "-" rt=0.123 uct="0.001" uht="0.122" urt="0.122""#;
    format!("{line}\n").repeat(EVENTS)
}

fn auth_log() -> String {
    "Nov 20 10:00:00 bastion sshd[4242]: Failed password for invalid user admin from 198.51.100.7 port 50514 ssh2\n".repeat(EVENTS)
}

fn cloudtrail() -> String {
    let event = r#"{"eventVersion":"1.09","userIdentity":{"type":"AssumedRole","principalId":"AROAEXAMPLEEXAMPLE:session","arn":"arn:aws:sts::123456789012:assumed-role/deploy/session","accountId":"123456789012","accessKeyId":"ASIAEXAMPLEEXAMPLE","sessionContext":{"sessionIssuer":{"type":"Role","principalId":"AROAEXAMPLEEXAMPLE","arn":"arn:aws:iam::123456789012:role/deploy","accountId":"123456789012","userName":"deploy"},"attributes":{"creationDate":"2026-11-20T09:50:00Z","mfaAuthenticated":"false"}}},"eventTime":"2026-11-20T10:00:00Z","eventSource":"s3.amazonaws.com","eventName":"PutBucketPolicy","awsRegion":"eu-west-1","sourceIPAddress":"198.51.100.7","userAgent":"aws-cli/2.13.25 Python/3.11.5 Linux/5.15 exe/x86_64","requestParameters":{"bucketName":"backups","Host":"backups.s3.eu-west-1.amazonaws.com","policy":""},"responseElements":null,"requestID":"4bf92f35-77b3-4da6-a3ce-929d0e0e4736","eventID":"0f2a4c1e-7d7f-4c64-9f0b-3b1d6f1f8a11","readOnly":false,"resources":[{"accountId":"123456789012","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::backups"}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"123456789012","eventCategory":"Management"}"#;
    format!("{{\"Records\":[{}]}}", vec![event; EVENTS].join(","))
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, body) in
        [("app_log", app_log()), ("access_log", access_log()), ("auth_log", auth_log()), ("cloudtrail", cloudtrail())]
    {
        let bytes = body.len() / EVENTS;
        let record = Record { source: "bench".into(), format: None, received: Timestamp::from_secs(1_795_200_000), peer: None, body: body.into() };
        let mut out = Vec::with_capacity(EVENTS);
        group.bench_function(format!("{name} ({bytes} bytes each)"), |bench| {
            bench.iter(|| {
                out.clear();
                parse::parse(black_box(&record), 7, &mut out);
                assert_eq!(out.len(), EVENTS);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(3)).warm_up_time(std::time::Duration::from_secs(1));
    targets = parse
}
criterion_main!(benches);
