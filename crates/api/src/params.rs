use crate::problem::Problem;
use crate::routes::Route;
use axum::extract::FromRequestParts;
use event::Timestamp;
use http::request::Parts;

/// Query parameters in one request, all together.
const PARAMS_MAX: usize = 64;

/// A query parameter that a route knows.
pub struct Param {
    pub name: &'static str,
    pub about: &'static str,
    /// May be given several times.
    pub many: bool,
}

const fn one(name: &'static str, about: &'static str) -> Param {
    Param { name, about, many: false }
}
const fn many(name: &'static str, about: &'static str) -> Param {
    Param { name, about, many: true }
}

pub static LIMIT: Param = one("limit", "How many at most, 1 to 1000");
pub static CURSOR: Param = one("cursor", "`next_cursor` of the page before");
pub static FROM: Param = one("from", "Not before, RFC 3339");
pub static TO: Param = one("to", "Before, RFC 3339");
pub static Q: Param = one("q", "Text that occurs in the entry, in any case of letters");
pub static QUERY: Param = one("q", "What to look for, in the query language of the manual: `user.name:alice AND NOT source.ip:10.0.0.0/8`");
pub static ROWS: Param = one("limit", "Events at most, 0 to 1000; 0 only counts");
pub static HISTOGRAM: Param = one("histogram", "`auto`, the width of a bucket in seconds, or `none`");
pub static FIELDS: Param = one("fields", "Columns whose most frequent values are counted, separated by commas; OCSF or ECS names");
pub static TOP: Param = one("top", "Values shown of each of `fields`, 1 to 100");
pub static BEFORE: Param = one("before", "Events before it, 0 to 1000");
pub static AFTER_IT: Param = one("after", "Events after it, 0 to 1000");
pub static STATE: Param = many("state", "open, acknowledged or closed");
pub static BAN_STATE: Param = many("state", "active, expired or undone; all when absent");
pub static BAN_FORMAT: Param = one("format", "plain, nginx or ipset; plain when absent");
pub static LIST_NAME: Param = one("name", "What the list is called in the audit log");
pub static LIST_FORMAT: Param = one("format", "list (an address or network a line, # comments) or fail2ban (its log); list when absent");
pub static BAN_SECS: Param = one("secs", "How long the bans last; for good when absent");
pub static REASON: Param = one("reason", "Why");
pub static SEVERITY_MIN: Param = one("severity_min", "informational, low, medium, high or critical");
pub static SIGNALS: Param = one("signals", "true lists signals too, which page nobody");
pub static SEVERITY: Param = many("severity", "informational, low, medium, high or critical");
pub static ALERT: Param = one("alert", "The id of an alert");
pub static RULE: Param = one("rule", "The id of a rule");
pub static USER: Param = one("user", "The user's name");
pub static SOURCE_IP: Param = one("source_ip", "The source address");
pub static HOURS: Param = one("hours", "The last so many hours, 1 to 24");
pub static BUCKET_SECS: Param = one("bucket_secs", "Width of a bucket, a multiple of 60");
pub static EXPORT_FORMAT: Param = one("format", "csv, jsonl or parquet; jsonl when absent");
pub static COLUMNS: Param = one("columns", "Names of columns between commas; all when absent");
pub static FORMAT: Param = one("format", "The format of the body; detected when absent");
pub static SOURCE: Param = one("source", "A name for the source; the API key's name when absent");
pub static SCORE: Param = one("score", "What the colours show: rules or findings");
pub static TOPICS: Param = one("topics", "event,finding,alert,incident,ban,stats; all when absent");
pub static AFTER: Param = one("after", "The `seq` of the last message seen");
pub static VERSION: Param = one("version", "The version that the agent has");
pub static WAIT: Param = one("wait", "Seconds to wait for another version, 0 to 60");
pub static AGENT: Param = one("agent", "The id of an agent");
pub static PROFILE_FROM: Param = one("from", "The version to compare; the one before `to` when absent");
pub static PROFILE_TO: Param = one("to", "The version to compare it with; the newest when absent");
pub static TOKEN: Param = one("token", "A JWT or API key, for clients that cannot set headers");

/// The query's parameters.
pub struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(query.as_bytes()).into_owned().take(PARAMS_MAX).collect()))
    }
}

/// Refuses parameters that the route does not know: a misspelt filter must not answer with everything.
pub fn check(query: Option<&str>, route: &Route) -> Result<(), Problem> {
    let mut seen: Vec<std::borrow::Cow<'_, str>> = Vec::new();
    for (name, _) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let Some(param) = route.params.iter().find(|p| p.name == name) else {
            let names: Vec<&str> = route.params.iter().map(|p| p.name).collect();
            return Err(Problem::bad_request(format!("there is no parameter {name:?} here{}", did_you_mean(&name, &names))));
        };
        if !param.many && seen.contains(&name) {
            return Err(Problem::bad_request(format!("{name} is given twice; give it once")));
        }
        if seen.len() == PARAMS_MAX {
            return Err(Problem::bad_request(format!("more than {PARAMS_MAX} parameters")));
        }
        seen.push(name);
    }
    Ok(())
}

impl Params {
    pub fn get(&self, param: &Param) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == param.name).map(|(_, value)| value.as_str()).filter(|v| !v.is_empty())
    }
    pub fn all(&self, param: &Param) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(name, _)| name == param.name).map(|(_, value)| value.as_str())
    }
    pub fn text(&self, param: &Param) -> Option<String> {
        self.get(param).map(str::to_owned)
    }
    pub fn number(&self, param: &Param, default: u64, range: std::ops::RangeInclusive<u64>) -> Result<u64, Problem> {
        let Some(text) = self.get(param) else { return Ok(default) };
        text.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| {
            Problem::bad_request(format!("{} is {text:?}: give a whole number from {} to {}", param.name, range.start(), range.end()))
        })
    }
    pub fn flag(&self, param: &Param) -> Result<bool, Problem> {
        match self.get(param) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(text) => Err(Problem::bad_request(format!("{} is {text:?}: give true or false", param.name))),
        }
    }
    pub fn limit(&self) -> Result<usize, Problem> {
        self.number(&LIMIT, 100, 1..=1000).map(|n| n as usize)
    }
    pub fn time(&self, param: &Param) -> Result<Option<Timestamp>, Problem> {
        self.get(param).map(|text| time(param.name, text)).transpose()
    }
    pub fn severities(&self) -> Result<Vec<event::Severity>, Problem> {
        self.all(&SEVERITY).flat_map(|v| v.split(',')).map(severity).collect()
    }
}

pub fn time(name: &str, text: &str) -> Result<Timestamp, Problem> {
    Timestamp::parse(text).ok_or_else(|| Problem::bad_request(format!("{name} is {text:?}: give a time such as 2026-11-20T10:00:00Z")))
}

pub fn severity(text: &str) -> Result<event::Severity, Problem> {
    event::Severity::parse(text).ok_or_else(|| {
        let names = event::Severity::ALL.map(event::Severity::as_str);
        Problem::bad_request(format!("{text:?} is no severity{}; they are {}", did_you_mean(text, &names), names.join(", ")))
    })
}

/// `, did you mean …?` if one of the names is close.
pub fn did_you_mean(wrong: &str, names: &[&str]) -> String {
    let wrong: String = wrong.chars().take(64).collect::<String>().to_lowercase();
    names
        .iter()
        .map(|name| (distance(&wrong, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map_or_else(String::new, |(_, name)| format!(", did you mean {name}?"))
}

/// Levenshtein's edit distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_get_a_suggestion_and_strange_ones_none() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(did_you_mean("sevrity", &["severity", "state"]), ", did you mean severity?");
        assert_eq!(did_you_mean("xyzzy", &["severity", "state"]), "");
    }
}
