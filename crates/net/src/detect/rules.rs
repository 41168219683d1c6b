//! The rules' names, levels and ATT&CK techniques: what people read of a finding.

use event::{Handling, Rule, RuleKind, Severity};
use std::collections::HashMap;
use std::sync::Arc;

/// A rule of this module, as it is shown and documented.
pub struct RuleFacts {
    pub id: &'static str,
    pub name: &'static str,
    pub level: Severity,
    pub techniques: &'static [&'static str],
    pub tactics: &'static [&'static str],
    pub description: &'static str,
    pub false_positives: &'static [&'static str],
}

/// Text of a table that is compiled in.
type Text = &'static str;

const fn rule(id: Text, name: Text, level: Severity, techniques: &'static [Text], tactics: &'static [Text]) -> RuleFacts {
    RuleFacts { id, name, level, techniques, tactics, description: "", false_positives: &[] }
}

impl RuleFacts {
    const fn says(self, description: Text) -> Self {
        Self { description, ..self }
    }

    const fn mistaken_for(self, false_positives: &'static [Text]) -> Self {
        Self { false_positives, ..self }
    }
}

pub const RULES: [RuleFacts; 21] = [
    rule("net-port-scan", "Port scan of a host", Severity::Medium, &["T1046", "T1595.001"], &["discovery", "reconnaissance"])
        .says("One address tried many ports of one host in vain: SYN, connect, FIN, NULL, Xmas, ACK or UDP probes, fast or slow.")
        .mistaken_for(&["vulnerability scanners of one's own", "a client of a service that is down on many ports"]),
    rule("net-port-sweep", "Sweep of one port over many hosts", Severity::Medium, &["T1046", "T1018"], &["discovery"])
        .says("One address tried the same port on many hosts and said nothing there.")
        .mistaken_for(&["inventory and monitoring systems"]),
    rule("net-ping-sweep", "Ping sweep", Severity::Low, &["T1018"], &["discovery"])
        .says("One address pinged many hosts.")
        .mistaken_for(&["monitoring systems that ping what they watch"]),
    rule("net-login-guessing", "Guessing of logins by connection pattern", Severity::High, &["T1110"], &["credential-access"])
        .says("Many SSH or RDP connections of one address to one host that end without a login.")
        .mistaken_for(&["a program with an old password or key", "short RDP sessions"]),
    rule("net-login-failures", "Many refused logins", Severity::High, &["T1110"], &["credential-access"])
        .says("A server refused many logins of one address: FTP, mail, SMB, HTTP.")
        .mistaken_for(&["a program with an old password"]),
    rule("net-syn-flood", "SYN flood", Severity::High, &["T1498.001", "T1499.001"], &["impact"])
        .says("Very many half-open connections to one port within seconds.")
        .mistaken_for(&["a popular service that went down"]),
    rule("net-rst-flood", "Flood of resets", Severity::Medium, &["T1498.001"], &["impact"])
        .says("Very many resets to one host within seconds.")
        .mistaken_for(&["a service that refuses everybody", "answers to a scan"]),
    rule("net-udp-flood", "UDP flood", Severity::High, &["T1498.001", "T1499.001"], &["impact"])
        .says("Very many UDP packets to one host within seconds, of which hardly any is answered.")
        .mistaken_for(&["a stream of media in one direction", "speed tests"]),
    rule("net-icmp-flood", "ICMP flood", Severity::High, &["T1498.001", "T1499.001"], &["impact"])
        .says("Very many pings or other ICMP packets to one host within seconds.")
        .mistaken_for(&["an administrator who measures loss with floods of pings"]),
    rule("net-beacon", "Connections in a rhythm", Severity::Medium, &["T1071", "T1573", "T1029"], &["command-and-control"])
        .says("A host connects to one address again and again at nearly the same interval with nearly the same amount of data.")
        .mistaken_for(&["monitoring agents", "mail and update checks"]),
    rule("net-dns-tunnel", "DNS tunnel", Severity::High, &["T1071.004", "T1048", "T1572"], &["command-and-control", "exfiltration"])
        .says("Very many long, different names below one domain.")
        .mistaken_for(&["reputation look-ups of security software", "names of content networks"]),
    rule("net-dga", "Names made by a program", Severity::Medium, &["T1568.002"], &["command-and-control"])
        .says("A host asked for many domains that do not exist and whose names no person would choose.")
        .mistaken_for(&["browsers that probe for a resolver that lies"]),
    rule("net-clear-text-password", "Password in clear text", Severity::Medium, &["T1040", "T1552"], &["credential-access"])
        .says("A password was sent without encryption; anybody on the path can read it."),
    rule("net-long-connection", "Long connection to a public address", Severity::Low, &["T1071", "T1572"], &["command-and-control"])
        .says("A connection to a public address stayed open for hours.")
        .mistaken_for(&["remote work", "messengers and push services"]),
    rule("net-exfiltration-volume", "Much data to one public address", Severity::Medium, &["T1048", "T1041", "T1567"], &["exfiltration"])
        .says("A host sent a large amount of data to one public address and received little.")
        .mistaken_for(&["backups and uploads"]),
    rule("net-exfiltration-unusual", "More data sent than the host ever does", Severity::Medium, &["T1048", "T1041", "T1567"], &["exfiltration"])
        .says("A host sent many times more to public addresses within an hour than in any hour of its past week.")
        .mistaken_for(&["the first full backup", "a new upload job"]),
    rule("net-new-external-service", "New service that public addresses reach", Severity::Low, &["T1133", "T1190"], &["initial-access", "persistence"])
        .says("An internal host answers public addresses at a port where it never did.")
        .mistaken_for(&["a service that was opened on purpose"]),
    rule("net-lateral-spread", "Sessions of administration to many hosts", Severity::Medium, &["T1021"], &["lateral-movement"])
        .says("An internal host opened SSH, SMB, RDP, WinRM or RPC sessions to many internal hosts within an hour.")
        .mistaken_for(&["jump hosts", "configuration management", "backup"]),
    rule("net-certificate", "Certificate outside its time or self-signed", Severity::Low, &["T1573", "T1587.003"], &["command-and-control", "resource-development"])
        .says("A server showed a certificate that has expired or is not valid yet, or a public server one that it signed itself.")
        .mistaken_for(&["neglected servers", "appliances"]),
    rule("net-known-bad", "Address or fingerprint on a list of bad ones", Severity::High, &["T1071", "T1573"], &["command-and-control"])
        .says("An address, or the JA3 or JA4 of a TLS client, is on a list of the settings.")
        .mistaken_for(&["fingerprints that a benign program shares"]),
    rule("net-web-attack", "Attack in a web request", Severity::High, &["T1190"], &["initial-access"])
        .says("The request inspector calls an HTTP request of the capture an attack.")
        .mistaken_for(&["penetration tests", "pages that take code as input"]),
];

fn shown(facts: &RuleFacts) -> Rule {
    let owned = |texts: &[Text]| texts.iter().map(|t| (*t).to_owned()).collect();
    Rule {
        id: facts.id.into(),
        name: facts.name.into(),
        kind: RuleKind::Behaviour,
        level: facts.level,
        description: facts.description.to_owned(),
        techniques: owned(facts.techniques),
        tactics: owned(facts.tactics),
        false_positives: owned(facts.false_positives),
        references: Vec::new(),
        author: "Erne".to_owned(),
        file: String::new(),
        handling: Handling::default(),
    }
}

/// The rules as findings carry them.
pub struct Rules(HashMap<&'static str, Arc<Rule>>);

impl Default for Rules {
    fn default() -> Self {
        Self(RULES.iter().map(|facts| (facts.id, Arc::new(shown(facts)))).collect())
    }
}

impl Rules {
    pub fn get(&self, id: &str) -> Option<Arc<Rule>> {
        self.0.get(id).cloned()
    }
}
