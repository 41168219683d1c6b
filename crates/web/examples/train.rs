//! As `erne web train`, with files already decompressed: `train OUT FILE…`; see `measure` for odd and even halves.

use std::io::Write;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut trainer = web::train::Trainer::default();
    for file in &args[1..] {
        let bytes = std::fs::read(file).expect("a file");
        web::read::items(&bytes, &mut |item| trainer.add(&item.expect("a request"))).expect("requests");
    }
    let (model, card) = trainer.finish(web::train::Settings::default());
    std::fs::File::create(&args[0]).and_then(|mut f| f.write_all(&model.write())).expect("written");
    println!("{}", serde_json::to_string_pretty(&card).expect("JSON"));
}
