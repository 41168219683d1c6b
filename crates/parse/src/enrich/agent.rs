//! User agents: which browser or tool, which operating system, which kind of device.
//!
//! Tables of words: of those that occur, the first in its table wins, so what imitates another (every
//! browser calls itself Mozilla, Edge calls itself Chrome) stands before it. All tables are searched at once.

use aho_corasick::{AhoCorasick, BuildError};
use compact_str::CompactString;
use event::UserAgent;

type Table = &'static [(&'static str, &'static str)];

/// Only this much of an agent is looked at; real ones are below 512 bytes.
const AGENT_BYTES_MAX: usize = 1024;

/// Attack tools, command line tools, libraries: (word in lower case, name).
const TOOLS: Table = &[
    ("sqlmap", "sqlmap"), ("nikto", "Nikto"), ("nmap", "Nmap"), ("masscan", "masscan"), ("zgrab", "zgrab"),
    ("nuclei", "Nuclei"), ("gobuster", "Gobuster"), ("dirbuster", "DirBuster"), ("feroxbuster", "feroxbuster"),
    ("ffuf", "ffuf"), ("fuzz faster", "ffuf"), ("wfuzz", "Wfuzz"), ("wpscan", "WPScan"), ("hydra", "Hydra"),
    ("acunetix", "Acunetix"), ("nessus", "Nessus"), ("openvas", "OpenVAS"), ("burp", "Burp Suite"),
    ("owasp zap", "OWASP ZAP"), ("zaproxy", "OWASP ZAP"), ("arachni", "Arachni"), ("w3af", "w3af"),
    ("havij", "Havij"), ("dirb", "DIRB"), ("l9explore", "LeakIX"), ("l9tcpid", "LeakIX"), ("censys", "Censys"),
    ("shodan", "Shodan"), ("expanse", "Expanse"), ("httpx", "httpx"), ("pacu", "Pacu"),
    ("stratus-red-team", "Stratus Red Team"), ("kali", "Kali Linux"), ("parrot", "Parrot OS"), ("pentoo", "Pentoo"),
    ("terraform", "Terraform"), ("pulumi", "Pulumi"), ("ansible", "Ansible"), ("aws-cli", "AWS CLI"),
    ("aws-sdk-go", "AWS SDK for Go"), ("aws-sdk-java", "AWS SDK for Java"), ("aws-sdk-js", "AWS SDK for JavaScript"),
    ("aws-sdk-ruby", "AWS SDK for Ruby"), ("aws-sdk-php", "AWS SDK for PHP"), ("aws-sdk-rust", "AWS SDK for Rust"),
    ("aws-sdk-dotnet", "AWS SDK for .NET"), ("aws-sdk-nodejs", "AWS SDK for JavaScript"),
    ("aws-internal", "AWS Internal"), ("s3console", "S3 Console"), ("signin.amazonaws.com", "AWS Console"),
    ("console.amazonaws.com", "AWS Console"), ("boto3", "Boto3"), ("botocore", "Botocore"), ("cloudformation", "CloudFormation"),
    ("kubectl", "kubectl"), ("curl/", "curl"), ("wget", "Wget"), ("httpie", "HTTPie"), ("postmanruntime", "Postman"),
    ("insomnia", "Insomnia"), ("python-requests", "python-requests"), ("aiohttp", "aiohttp"),
    ("python-urllib", "Python urllib"), ("python-httpx", "python-httpx"), ("scrapy", "Scrapy"),
    ("go-http-client", "Go HTTP client"), ("okhttp", "OkHttp"), ("apache-httpclient", "Apache HttpClient"),
    ("axios", "axios"), ("node-fetch", "node-fetch"), ("undici", "undici"), ("libwww-perl", "libwww-perl"),
    ("guzzlehttp", "Guzzle"), ("reqwest", "reqwest"), ("java/", "Java"), ("winhttp", "WinHTTP"),
    ("powershell", "PowerShell"), ("microsoft bits", "Microsoft BITS"), ("certutil", "CertUtil"),
    ("kube-probe", "kube-probe"), ("elb-healthchecker", "ELB health checker"), ("prometheus", "Prometheus"), ("git/", "Git"),
];

/// Crawlers that say so.
const BOTS: Table = &[
    ("googlebot", "Googlebot"), ("bingbot", "Bingbot"), ("duckduckbot", "DuckDuckBot"), ("yandexbot", "YandexBot"),
    ("baiduspider", "Baiduspider"), ("applebot", "Applebot"), ("ahrefsbot", "AhrefsBot"), ("semrushbot", "SemrushBot"),
    ("gptbot", "GPTBot"), ("ccbot", "CCBot"), ("bytespider", "Bytespider"), ("facebookexternalhit", "Facebook"),
    ("slackbot", "Slackbot"), ("twitterbot", "Twitterbot"), ("petalbot", "PetalBot"), ("uptimerobot", "UptimeRobot"),
    ("pingdom", "Pingdom"),
];

/// Browsers: word, name; the version follows the word.
const BROWSERS: Table = &[
    ("edg/", "Edge"), ("edga/", "Edge"), ("edgios/", "Edge"), ("edge/", "Edge"), ("opr/", "Opera"), ("opera/", "Opera"),
    ("vivaldi/", "Vivaldi"), ("samsungbrowser/", "Samsung Internet"), ("yabrowser/", "Yandex Browser"),
    ("headlesschrome/", "Headless Chrome"), ("electron/", "Electron"), ("fxios/", "Firefox"), ("crios/", "Chrome"),
    ("firefox/", "Firefox"), ("chrome/", "Chrome"), ("version/", "Safari"), ("msie ", "Internet Explorer"),
    ("trident/", "Internet Explorer"), ("safari/", "Safari"), ("roku/", "Roku"),
];

const SYSTEMS: Table = &[
    ("windows phone", "Windows Phone"), ("windows nt", "Windows"), ("windows/", "Windows"), ("windows", "Windows"),
    ("iphone", "iOS"), ("ipad", "iOS"), ("ipod", "iOS"), ("android", "Android"), ("cros ", "ChromeOS"),
    ("mac os x", "macOS"), ("macintosh", "macOS"), ("darwin", "macOS"), ("macos", "macOS"), ("freebsd", "FreeBSD"),
    ("openbsd", "OpenBSD"), ("linux", "Linux"), ("x11", "Linux"),
];

/// How crawlers that no table knows give themselves away.
const OTHER_BOTS: Table =
    &[("bot/", "Other bot"), ("bot;", "Other bot"), ("+http", "Other bot"), ("crawler", "Other bot"), ("spider", "Other bot")];

const MOBILE: Table = &[("mobile", ""), ("android", ""), ("iphone", ""), ("ipad", "")];

/// Each with whether a word counts only where a word begins: `hydra` is none in `dehydrated`.
const TABLES: [(Table, bool); 6] =
    [(TOOLS, true), (BOTS, true), (OTHER_BOTS, false), (BROWSERS, true), (SYSTEMS, false), (MOBILE, false)];

/// The tables, ready to be searched.
pub(super) struct Words(AhoCorasick);

/// A table's entry, and where in the text its word ends.
type Found = Option<(usize, usize)>;

impl Words {
    pub fn new() -> Result<Self, BuildError> {
        let words = TABLES.iter().flat_map(|(table, _)| table.iter().map(|(word, _)| word));
        Ok(Self(AhoCorasick::builder().ascii_case_insensitive(true).build(words)?))
    }

    /// Gives what the agent's text tells; all empty if it says nothing known.
    pub fn parse(&self, text: &str) -> UserAgent {
        let text = crate::text::head(text, AGENT_BYTES_MAX);
        let [tool, bot, other_bot, browser, system, mobile] = self.search(text.as_bytes());
        let name_in = |table: Table, found: Found| found.map(|(entry, _)| CompactString::const_new(table[entry].1));
        let (name, device) = if let Some(name) = name_in(TOOLS, tool) {
            (Some(name), Some("tool"))
        } else if let Some(name) = name_in(BOTS, bot).or_else(|| name_in(OTHER_BOTS, other_bot)) {
            (Some(name), Some("bot"))
        } else if let Some((entry, end)) = browser {
            let (word, name) = BROWSERS[entry];
            (Some(with_version(&text[end..], word, name)), Some(if mobile.is_some() { "mobile" } else { "desktop" }))
        } else {
            (None, None)
        };
        UserAgent { name, os: name_in(SYSTEMS, system), device: device.map(CompactString::const_new) }
    }

    /// The first entry of each table that occurs.
    fn search(&self, text: &[u8]) -> [Found; 6] {
        let mut found: [Found; 6] = [None; 6];
        for hit in self.0.find_overlapping_iter(text) {
            let mut entry = hit.pattern().as_usize();
            let table = TABLES.iter().position(|(table, _)| {
                let inside = entry < table.len();
                entry = if inside { entry } else { entry - table.len() };
                inside
            });
            let Some(table) = table else { continue };
            let begins = hit.start() == 0 || !text[hit.start() - 1].is_ascii_alphanumeric();
            if (begins || !TABLES[table].1) && found[table].is_none_or(|(best, _)| entry < best) {
                found[table] = Some((entry, hit.end()));
            }
        }
        found
    }
}

/// The name with the major version.
fn with_version(after: &str, word: &str, name: &str) -> CompactString {
    const DIGITS_MAX: usize = 4;
    let digits = after.bytes().take(DIGITS_MAX).take_while(u8::is_ascii_digit).count();
    // Trident and Safari count their engine's version, not the browser's.
    if digits == 0 || matches!(word, "trident/" | "safari/") {
        return name.into();
    }
    compact_str::format_compact!("{name} {}", &after[..digits])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: [&str; 3]) {
        let agent = Words::new().unwrap().parse(text);
        assert_eq!([agent.name, agent.os, agent.device].map(Option::unwrap_or_default), want);
    }

    #[test]
    fn browsers_bots_and_tools() {
        check("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36", ["Chrome 131", "Windows", "desktop"]);
        check("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", ["Edge 131", "Windows", "desktop"]);
        check("Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1", ["Safari 17", "iOS", "mobile"]);
        check("Mozilla/5.0 (X11; Linux x86_64; rv:134.0) Gecko/20100101 Firefox/134.0", ["Firefox 134", "Linux", "desktop"]);
        check("Mozilla/5.00 (Nikto/2.1.5) (Evasions:None) (Test:Port Check)", ["Nikto", "", "tool"]);
        check("aws-cli/2.13.25 Python/3.11.5 Linux/5.15 exe/x86_64 prompt/off command/s3.ls", ["AWS CLI", "Linux", "tool"]);
        check("Boto3/1.34 md/Botocore#1.34 ua/2.0 os/macos#23", ["Boto3", "macOS", "tool"]);
        check("curl/8.5.0", ["curl", "", "tool"]);
        check("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", ["Googlebot", "", "bot"]);
        check("dehydrated/1.0", ["", "", ""]);
        check("", ["", "", ""]);
        check("-", ["", "", ""]);
    }
}
