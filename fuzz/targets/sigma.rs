//! A rule file by anybody: it loads or says why not, and what loads can be run.
#![no_main]

use detect::{Detector, Matched, RuleFile, RuleSet};
use event::{Bytes, CompactString, Event, Format, LogSource, Position, Timestamp, Value};
use libfuzzer_sys::fuzz_target;

const NATIVE: &str = r#"{"eventName":"ConsoleLogin","sourceIPAddress":"203.0.113.7","userIdentity":{"type":"Root"},"n":5,"list":["a","B"],"CommandLine":"cmd /c whoami"}"#;

fuzz_target!(|text: &str| {
    let (rules, _issues) = RuleSet::compile(&[RuleFile { path: "fuzz.yml".into(), text: text.into() }]);
    let uid = CompactString::from("u");
    let mut event = Event::new(uid, Position::default(), Timestamp(0), "fuzz".into(), Format::Json, Bytes::from_static(NATIVE.as_bytes()));
    event.native = Value::from_json(NATIVE.as_bytes()).expect("valid").0;
    event.log_source = LogSource { product: "aws", category: "process_creation", service: "cloudtrail" };
    let detector = Detector { rules: rules.into(), lists: Default::default(), lateness: Default::default() };
    detector.run(std::slice::from_mut(&mut event), &mut Matched::default());
});
