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

pub const RULES: [RuleFacts; 14] = [
    RuleFacts {
        id: "net-port-scan",
        name: "Port scan of a host",
        level: Severity::Medium,
        techniques: &["T1046", "T1595.001"],
        tactics: &["discovery", "reconnaissance"],
        description: "One address tried many ports of one host in vain: SYN, connect, FIN, NULL, Xmas, ACK or UDP probes, fast or slow.",
        false_positives: &["vulnerability scanners of one's own", "a client of a service that is down on many ports"],
    },
    RuleFacts {
        id: "net-port-sweep",
        name: "Sweep of one port over many hosts",
        level: Severity::Medium,
        techniques: &["T1046", "T1018"],
        tactics: &["discovery"],
        description: "One address tried the same port on many hosts and said nothing there.",
        false_positives: &["inventory and monitoring systems"],
    },
    RuleFacts {
        id: "net-ping-sweep",
        name: "Ping sweep",
        level: Severity::Low,
        techniques: &["T1018"],
        tactics: &["discovery"],
        description: "One address pinged many hosts.",
        false_positives: &["monitoring systems that ping what they watch"],
    },
    RuleFacts {
        id: "net-login-guessing",
        name: "Guessing of logins by connection pattern",
        level: Severity::High,
        techniques: &["T1110"],
        tactics: &["credential-access"],
        description: "Many short SSH or RDP connections of one address to one host, each as long as a few refused logins.",
        false_positives: &["deployment tools that open a connection for every command"],
    },
    RuleFacts {
        id: "net-login-failures",
        name: "Many refused logins",
        level: Severity::High,
        techniques: &["T1110"],
        tactics: &["credential-access"],
        description: "A server refused many logins of one address: FTP, mail, SMB, HTTP.",
        false_positives: &["a program with an old password"],
    },
    RuleFacts {
        id: "net-syn-flood",
        name: "SYN flood",
        level: Severity::High,
        techniques: &["T1498.001", "T1499.001"],
        tactics: &["impact"],
        description: "Very many half-open connections to one port within seconds.",
        false_positives: &["a popular service that went down"],
    },
    RuleFacts {
        id: "net-rst-flood",
        name: "Flood of resets",
        level: Severity::Medium,
        techniques: &["T1498.001"],
        tactics: &["impact"],
        description: "Very many resets to one host within seconds.",
        false_positives: &["a service that refuses everybody", "answers to a scan"],
    },
    RuleFacts {
        id: "net-beacon",
        name: "Connections in a rhythm",
        level: Severity::Medium,
        techniques: &["T1071", "T1573", "T1029"],
        tactics: &["command-and-control"],
        description: "A host connects to one address again and again at nearly the same interval with nearly the same amount of data.",
        false_positives: &["monitoring agents", "mail and update checks"],
    },
    RuleFacts {
        id: "net-dns-tunnel",
        name: "DNS tunnel",
        level: Severity::High,
        techniques: &["T1071.004", "T1048", "T1572"],
        tactics: &["command-and-control", "exfiltration"],
        description: "Very many long, different names below one domain.",
        false_positives: &["reputation look-ups of security software", "names of content networks"],
    },
    RuleFacts {
        id: "net-dga",
        name: "Names made by a program",
        level: Severity::Medium,
        techniques: &["T1568.002"],
        tactics: &["command-and-control"],
        description: "A host asked for many domains that do not exist and whose names no person would choose.",
        false_positives: &["browsers that probe for a resolver that lies"],
    },
    RuleFacts {
        id: "net-clear-text-password",
        name: "Password in clear text",
        level: Severity::Medium,
        techniques: &["T1040", "T1552"],
        tactics: &["credential-access"],
        description: "A password was sent without encryption; anybody on the path can read it.",
        false_positives: &[],
    },
    RuleFacts {
        id: "net-long-connection",
        name: "Long connection to a public address",
        level: Severity::Low,
        techniques: &["T1071", "T1572"],
        tactics: &["command-and-control"],
        description: "A connection to a public address stayed open for hours.",
        false_positives: &["remote work", "messengers and push services"],
    },
    RuleFacts {
        id: "net-exfiltration-volume",
        name: "Much data to one public address",
        level: Severity::Medium,
        techniques: &["T1048", "T1041", "T1567"],
        tactics: &["exfiltration"],
        description: "A host sent a large amount of data to one public address and received little.",
        false_positives: &["backups and uploads"],
    },
    RuleFacts {
        id: "net-web-attack",
        name: "Attack in a web request",
        level: Severity::High,
        techniques: &["T1190"],
        tactics: &["initial-access"],
        description: "The request inspector calls an HTTP request of the capture an attack.",
        false_positives: &["penetration tests", "pages that take code as input"],
    },
];

fn rule(facts: &RuleFacts) -> Rule {
    Rule {
        id: facts.id.into(),
        name: facts.name.into(),
        kind: RuleKind::Behaviour,
        level: facts.level,
        description: facts.description.to_owned(),
        techniques: facts.techniques.iter().map(|t| (*t).to_owned()).collect(),
        tactics: facts.tactics.iter().map(|t| (*t).to_owned()).collect(),
        false_positives: facts.false_positives.iter().map(|t| (*t).to_owned()).collect(),
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
        Self(RULES.iter().map(|facts| (facts.id, Arc::new(rule(facts)))).collect())
    }
}

impl Rules {
    pub fn get(&self, id: &str) -> Option<Arc<Rule>> {
        self.0.get(id).cloned()
    }
}
