//! What the inspector says about a transaction.

use serde::{Deserialize, Serialize};

/// From this score on a request is an attack.
pub const ATTACK_SCORE: f32 = 0.5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    #[default]
    Allow,
    Attack,
}

/// Kinds of attack, in the order of their names' first use in reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Sqli,
    Xss,
    CommandInjection,
    CodeInjection,
    Traversal,
    FileInclusion,
    Ssrf,
    TemplateInjection,
    ExpressionLanguage,
    Xxe,
    Ssi,
    Nosql,
    Ldap,
    Xpath,
    HeaderInjection,
    Deserialisation,
    Lookup,
    PrototypePollution,
    Graphql,
    Smuggling,
    VerbTampering,
    Oversized,
    OpenRedirect,
    Upload,
    Scanner,
    Leak,
    /// Found by the classifier alone.
    Unknown,
}

impl Class {
    /// Every class, in the order above.
    pub const ALL: &[Self] = &[
        Self::Sqli, Self::Xss, Self::CommandInjection, Self::CodeInjection, Self::Traversal, Self::FileInclusion,
        Self::Ssrf, Self::TemplateInjection, Self::ExpressionLanguage, Self::Xxe, Self::Ssi, Self::Nosql,
        Self::Ldap, Self::Xpath, Self::HeaderInjection, Self::Deserialisation, Self::Lookup, Self::PrototypePollution,
        Self::Graphql, Self::Smuggling, Self::VerbTampering, Self::Oversized, Self::OpenRedirect, Self::Upload,
        Self::Scanner, Self::Leak, Self::Unknown,
    ];

    /// The class of this name, as [`Self::as_str`] writes it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    pub fn cwe(self) -> &'static str {
        self.row().1
    }

    /// The ATT&CK technique.
    pub fn technique(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Sqli => ("sqli", "CWE-89", "T1190"),
            Self::Xss => ("xss", "CWE-79", "T1059.007"),
            Self::CommandInjection => ("command_injection", "CWE-78", "T1059"),
            Self::CodeInjection => ("code_injection", "CWE-94", "T1059"),
            Self::Traversal => ("traversal", "CWE-22", "T1083"),
            Self::FileInclusion => ("file_inclusion", "CWE-98", "T1190"),
            Self::Ssrf => ("ssrf", "CWE-918", "T1090"),
            Self::TemplateInjection => ("template_injection", "CWE-1336", "T1221"),
            Self::ExpressionLanguage => ("expression_language", "CWE-917", "T1190"),
            Self::Xxe => ("xxe", "CWE-611", "T1190"),
            Self::Ssi => ("ssi", "CWE-97", "T1190"),
            Self::Nosql => ("nosql", "CWE-943", "T1190"),
            Self::Ldap => ("ldap", "CWE-90", "T1190"),
            Self::Xpath => ("xpath", "CWE-643", "T1190"),
            Self::HeaderInjection => ("header_injection", "CWE-113", "T1190"),
            Self::Deserialisation => ("deserialisation", "CWE-502", "T1190"),
            Self::Lookup => ("lookup", "CWE-917", "T1190"),
            Self::PrototypePollution => ("prototype_pollution", "CWE-1321", "T1190"),
            Self::Graphql => ("graphql", "CWE-400", "T1499"),
            Self::Smuggling => ("smuggling", "CWE-444", "T1190"),
            Self::VerbTampering => ("verb_tampering", "CWE-650", "T1190"),
            Self::Oversized => ("oversized", "CWE-400", "T1499"),
            Self::OpenRedirect => ("open_redirect", "CWE-601", "T1566.002"),
            Self::Upload => ("upload", "CWE-434", "T1505.003"),
            Self::Scanner => ("scanner", "CWE-200", "T1595.002"),
            Self::Leak => ("leak", "CWE-209", "T1592"),
            Self::Unknown => ("unknown", "CWE-20", "T1190"),
        }
    }
}

/// One place where one analyser saw something.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    pub analyser: &'static str,
    pub class: Class,
    /// `query:q`, `header:user-agent`, `body:json:$.a[0].b`, `cookie:x`, `path`, `multipart:file:avatar`.
    pub location: String,
    /// The decodings that led to the value, first to last.
    pub chain: Vec<&'static str>,
    /// The decoded value, cut around what was found.
    pub value: String,
    pub score: f32,
    pub cwe: &'static str,
    pub technique: &'static str,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Verdict {
    pub verdict: Decision,
    /// 0 to 1; from [`ATTACK_SCORE`] on an attack.
    pub score: f32,
    /// The best score of each class, highest first.
    pub classes: Vec<(Class, f32)>,
    /// Departures from what an application should be sent; they never make an attack by themselves.
    pub policy: Vec<&'static str>,
    pub findings: Vec<Finding>,
    /// Bounds that kept a part of the request from being inspected.
    pub truncated: Vec<&'static str>,
}
