//! What inspecting one request costs: a page's, one with long cookies, a JSON body, an attack, and padding.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use web::{Inspector, Transaction};

fn request(target: &str, more: &[(&str, &str)], body: &[u8]) -> Transaction {
    let headers = [
        ("Host", "shop.example"), ("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"), ("Accept-Language", "en-US,en;q=0.9"), ("Referer", "https://shop.example/list?page=2&sort=price"),
    ];
    Transaction {
        method: if body.is_empty() { "GET" } else { "POST" }.into(),
        target: target.into(),
        headers: headers.iter().chain(more).map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        body: body.to_vec(),
        ..Transaction::default()
    }
}

fn inspect(criterion: &mut Criterion) {
    let inspector = Inspector::default();
    let cookie = format!("sid=8f14e45fceea167a5a36dedd4bea2543; prefs={}; _ga=GA1.2.1234567890.1234567890", "%7B%22theme%22%3A%22dark%22%2C%22n%22%3A12%7D".repeat(8));
    let json = format!("{{\"items\":[{}]}}", vec!["{\"name\":\"A chair, oak (2 pcs.)\",\"price\":12.5,\"url\":\"https://shop.example/a?b=c\"}"; 20].join(","));
    let padded = format!("{{\"pad\":\"{}\",\"q\":\"1' OR '1'='1\"}}", "a".repeat(128 << 10));
    let cases = [
        ("page", request("/assets/app.3f2a.js?v=12", &[], b"")),
        ("cookies", request("/cart?item=17&ref=mail", &[("Cookie", &cookie)], b"")),
        ("json", request("/api/orders", &[("Content-Type", "application/json")], json.as_bytes())),
        ("attack", request("/item?id=-1%27%20UNION%20SELECT%20a,b%20FROM%20users--%20", &[], b"")),
        ("padded", request("/api/orders", &[("Content-Type", "application/json")], padded.as_bytes())),
    ];
    let mut group = criterion.benchmark_group("inspect");
    for (name, transaction) in &cases {
        group.throughput(Throughput::Elements(1));
        group.bench_function(*name, |bencher| bencher.iter(|| inspector.inspect(std::hint::black_box(transaction))));
    }
    group.finish();
}

criterion_group!(benches, inspect);
criterion_main!(benches);
