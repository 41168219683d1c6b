//! A request file in any of the forms that the inspector reads, and each request in it inspected.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use web::Inspector;

static INSPECTOR: LazyLock<Inspector> = LazyLock::new(Inspector::default);

fuzz_target!(|bytes: &[u8]| {
    let mut left = 16;
    let _ = web::read::items(bytes, &mut |item| {
        if let (Ok(item), true) = (item, left > 0) {
            left -= 1;
            INSPECTOR.inspect(&item.transaction);
        }
    });
});
