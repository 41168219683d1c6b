//! User agents: which browser or tool, which operating system, which kind of device.
//!
//! Tables of words, searched in order: the first that occurs wins, so what imitates another (every browser
//! calls itself Mozilla, Edge calls itself Chrome) stands before it.

use compact_str::CompactString;
use event::UserAgent;

/// Only this much of an agent is looked at; real ones are below 512 bytes.
const AGENT_BYTES_MAX: usize = 1024;

/// Attack tools, command line tools, libraries: (word in lower case, name).
const TOOLS: &[(&str, &str)] = &[
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
const BOTS: &[(&str, &str)] = &[
    ("googlebot", "Googlebot"), ("bingbot", "Bingbot"), ("duckduckbot", "DuckDuckBot"), ("yandexbot", "YandexBot"),
    ("baiduspider", "Baiduspider"), ("applebot", "Applebot"), ("ahrefsbot", "AhrefsBot"), ("semrushbot", "SemrushBot"),
    ("gptbot", "GPTBot"), ("ccbot", "CCBot"), ("bytespider", "Bytespider"), ("facebookexternalhit", "Facebook"),
    ("slackbot", "Slackbot"), ("twitterbot", "Twitterbot"), ("petalbot", "PetalBot"), ("uptimerobot", "UptimeRobot"),
    ("pingdom", "Pingdom"),
];

/// Browsers: word, name; the version follows the word.
const BROWSERS: &[(&str, &str)] = &[
    ("edg/", "Edge"), ("edga/", "Edge"), ("edgios/", "Edge"), ("edge/", "Edge"), ("opr/", "Opera"), ("opera/", "Opera"),
    ("vivaldi/", "Vivaldi"), ("samsungbrowser/", "Samsung Internet"), ("yabrowser/", "Yandex Browser"),
    ("headlesschrome/", "Headless Chrome"), ("electron/", "Electron"), ("fxios/", "Firefox"), ("crios/", "Chrome"),
    ("firefox/", "Firefox"), ("chrome/", "Chrome"), ("version/", "Safari"), ("msie ", "Internet Explorer"),
    ("trident/", "Internet Explorer"), ("safari/", "Safari"), ("roku/", "Roku"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("windows phone", "Windows Phone"), ("windows nt", "Windows"), ("windows/", "Windows"), ("windows", "Windows"),
    ("iphone", "iOS"), ("ipad", "iOS"), ("ipod", "iOS"), ("android", "Android"), ("cros ", "ChromeOS"),
    ("mac os x", "macOS"), ("macintosh", "macOS"), ("darwin", "macOS"), ("macos", "macOS"), ("freebsd", "FreeBSD"),
    ("openbsd", "OpenBSD"), ("linux", "Linux"), ("x11", "Linux"),
];

/// Gives what the agent's text tells; an agent that says nothing known has a device only if it names none.
pub(super) fn parse(text: &str) -> UserAgent {
    let text = crate::text::head(text, AGENT_BYTES_MAX);
    let lower = text.to_ascii_lowercase();
    let os = SYSTEMS.iter().find(|(word, _)| lower.contains(word)).map(|(_, name)| CompactString::const_new(name));
    let (name, device) = name_and_device(&lower);
    UserAgent { name, os, device: device.map(CompactString::const_new) }
}

fn name_and_device(lower: &str) -> (Option<CompactString>, Option<&'static str>) {
    if let Some((_, name)) = find_word(TOOLS, lower) {
        return (Some(CompactString::const_new(name)), Some("tool"));
    }
    if let Some((_, name)) = find_word(BOTS, lower) {
        return (Some(CompactString::const_new(name)), Some("bot"));
    }
    if ["bot/", "bot;", "+http", "crawler", "spider"].iter().any(|word| lower.contains(word)) {
        return (Some(CompactString::const_new("Other bot")), Some("bot"));
    }
    let Some((word, name)) = find_word(BROWSERS, lower) else { return (None, None) };
    let mobile = ["mobile", "android", "iphone", "ipad"].iter().any(|word| lower.contains(word));
    (Some(with_version(lower, word, name)), Some(if mobile { "mobile" } else { "desktop" }))
}

/// The first entry whose word occurs where a word begins: `hydra` is none in `dehydrated`.
fn find_word(table: &'static [(&'static str, &'static str)], text: &str) -> Option<(&'static str, &'static str)> {
    let begins = |at: usize| at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric();
    table.iter().find(|(word, _)| text.match_indices(word).any(|(at, _)| begins(at))).copied()
}

/// The name with the major version.
fn with_version(lower: &str, word: &str, name: &str) -> CompactString {
    const DIGITS_MAX: usize = 4;
    let after = lower.find(word).map_or("", |at| &lower[at + word.len()..]);
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
        let agent = parse(text);
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
