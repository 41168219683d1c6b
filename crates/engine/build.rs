//! The content pack is compiled into the binary: a changed, new or removed file must rebuild it.
fn main() {
    println!("cargo:rerun-if-changed=../../content");
}
