//! Generated requests as JSON lines: `requests benign SEED COUNT`.

#[path = "../tests/benign/generator.rs"]
mod generator;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let number = |i: usize, or: u64| args.get(i).and_then(|n| n.parse::<u64>().ok()).unwrap_or(or);
    let count = number(3, 1_700) as usize;
    for i in 0..count.max(generator::KINDS.len()) {
        let (kind, transaction) = generator::request(number(2, 7), i);
        let request = web::wire::Request { id: i.to_string(), transaction, ..Default::default() };
        let mut line = serde_json::to_value(&request).expect("JSON");
        line["src"] = "generated".into();
        line["label"] = 0.into();
        line["cls"] = kind.into();
        println!("{line}");
    }
}
