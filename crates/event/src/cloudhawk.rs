//! The words of CloudHawk, the reference system, whose tables, lists and paths we offer: its API and our sinks say them
//! alike.

use crate::Severity;

/// Its levels; what we call informational counts as LOW.
pub fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational | Severity::Low => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::High => "HIGH",
        Severity::Critical => "CRITICAL",
    }
}

/// Its type of a threat, from a rule's name: `Console login without MFA` → `console_login_without_mfa`.
pub fn threat_type(rule_name: &str) -> String {
    let words = rule_name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("_")
}

/// An ATT&CK technique as it writes them: `T1485 - Data Destruction`.
pub fn technique(id: &str, name: Option<&str>) -> String {
    name.map_or_else(|| id.to_owned(), |name| format!("{id} - {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_cloudhawk_writes_them() {
        assert_eq!(threat_type("Console login, without MFA"), "console_login_without_mfa");
        assert_eq!(technique("T1485", Some("Data Destruction")), "T1485 - Data Destruction");
        assert_eq!(technique("T9", None), "T9");
        assert_eq!(level(Severity::Informational), "LOW");
    }
}
