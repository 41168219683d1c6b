//! A record of any format: whatever comes, each byte of it is in some event or is a separator, and nothing panics.
#![no_main]

use event::{Bytes, Format, Record, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else { return };
    let formats = Format::ALL;
    let format = formats.get(usize::from(*choice) % (formats.len() + 1)).copied();
    let record = Record { source: "fuzz".into(), format, received: Timestamp(1_700_000_000_000_000), peer: None, body: Bytes::copy_from_slice(body) };
    for event in parse::events(&record, 7).take(10_000) {
        assert!(event.position.offset == 7);
        // Everything that is shown of it can be shown.
        event.to_json();
    }
});
