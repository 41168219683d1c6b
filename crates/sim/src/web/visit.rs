use crate::actor::Moves;
use crate::address::ACCESS;
use crate::clock;
use crate::random::Random;
use event::Timestamp;
use std::fmt::Write as _;

/// One request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub method: &'static str,
    pub target: String,
    pub status: u16,
    pub bytes: i64,
    pub referrer: String,
    /// Where this request's agent differs from the visitor's.
    pub agent: Option<String>,
}

impl Hit {
    pub fn new(method: &'static str, target: impl Into<String>, status: u16, bytes: i64) -> Self {
        Self { method, target: target.into(), status, bytes, referrer: "-".to_owned(), agent: None }
    }
}

/// Somebody, or something, that sends requests.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub address: String,
    pub agent: String,
    pub version: &'static str,
    /// The logged-in name of HTTP authentication; the shop has none but for its status page.
    pub user: &'static str,
    pub pages_left: u32,
    /// The page before, which the next one names as its referrer.
    pub page: String,
    pub has_assets: bool,
}

pub(crate) const HOST: &str = "https://shop.acme.example";
const BROWSERS: [(&str, u32); 8] = [
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", 30),
    ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1", 22),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", 24),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15", 9),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0", 6),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", 6),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", 2),
    ("Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.7444.46 Mobile/15E148 Safari/604.1", 1),
];
const CATEGORIES: [&str; 7] = ["shoes", "jackets", "bags", "outdoor", "kids", "sale", "accessories"];
/// What people look for; the apostrophes and signs are the near misses of SQL injection.
const SEARCHES: [&str; 12] = [
    "red+sneakers", "men%27s+shoes", "rain+jacket", "levi%27s+501", "backpack+40l", "women%27s+boots+size+38",
    "select+series+bag", "t-shirt+%26+shorts", "union+jack+scarf", "caf%C3%A9+mug", "50%25+off", "o%27neill+wetsuit",
];
const REFERRERS: [&str; 5] =
    ["https://www.google.com/", "https://www.bing.com/", "https://www.instagram.com/", "https://news.acme.example/autumn", "-"];
const BOTS: [(&str, &str); 5] = [
    ("66.249.66", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    ("40.77.167", "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/136.0.0.0 Safari/537.36"),
    ("17.241.75", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)"),
    ("54.36.148", "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"),
    ("69.171.249", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"),
];

/// Somebody who comes to the shop now.
pub(crate) fn organic(time: Timestamp, random: &mut Random) -> (Visitor, Moves<Hit>) {
    let (visitor, first) = match random.below(100) {
        0..62 => shopper(time, random),
        62..76 => bot(random),
        76..92 => health_check(random),
        92..97 => api_client(random),
        _ => login(time, random),
    };
    (visitor, first)
}

fn visitor(time: Timestamp, random: &mut Random) -> Visitor {
    // Two draws, the more wakeful of the two: it is day somewhere else while half of them sleep.
    let (first, second) = (random.pick(ACCESS), random.pick(ACCESS));
    let place = if (7..24).contains(&first.hour(time)) { first } else { second };
    Visitor {
        address: place.address(random).to_string(),
        agent: (*random.weighted(&BROWSERS)).to_owned(),
        version: "HTTP/2.0",
        user: "-",
        pages_left: random.between(0, 9) as u32,
        page: (random.word(&REFERRERS)).to_owned(),
        has_assets: true,
    }
}

fn shopper(time: Timestamp, random: &mut Random) -> (Visitor, Moves<Hit>) {
    let mut visitor = visitor(time, random);
    let mut moves = Moves::new();
    let landing = if random.chance(0.5) { "/".to_owned() } else { product(random) };
    visitor.open("GET", landing, 200, &mut moves, 1_000, random);
    if random.chance(0.35) {
        visitor.has_assets = false;
    }
    (visitor, moves)
}

fn product(random: &mut Random) -> String {
    format!("/product/{}", random.between(1000, 4999))
}

impl Visitor {
    /// The next page, if the visit is not over.
    pub fn turn_page(&mut self, moves: &mut Moves<Hit>, random: &mut Random) {
        if self.pages_left == 0 {
            return;
        }
        self.pages_left -= 1;
        let pause = random.wait_micros(18.0) + 1_500_000;
        let sku = random.between(1000, 4999);
        match random.below(100) {
            0..28 => self.open("GET", product(random), 200, moves, pause, random),
            28..50 => {
                let page = format!("/category/{}?page={}", random.word(&CATEGORIES), random.between(1, 6));
                self.open("GET", page, 200, moves, pause, random);
            }
            50..66 => self.open("GET", format!("/search?q={}", random.word(&SEARCHES)), 200, moves, pause, random),
            66..76 => {
                self.send("POST", "/cart/add", 302, 0, moves, pause);
                self.open("GET", "/cart".to_owned(), 200, moves, 80_000, random);
            }
            76..82 => {
                self.open("GET", "/checkout".to_owned(), 200, moves, pause, random);
                self.send("POST", "/checkout/confirm", 303, 0, moves, 21_000_000);
                self.open("GET", format!("/order/thanks?no={}", random.digits(7)), 200, moves, 90_000, random);
            }
            82..92 => self.send("GET", &format!("/api/v1/stock?sku={sku}"), 200, 118, moves, pause),
            92..96 => self.send("GET", &format!("/product/{}", random.between(1, 999)), 404, 1874, moves, pause),
            96..97 => self.send("GET", &format!("/search?q={}", random.word(&SEARCHES)), 500, 571, moves, pause),
            _ => self.open("GET", "/account/orders".to_owned(), 200, moves, pause, random),
        }
    }

    /// A page, and on the first visit what it needs.
    fn open(&mut self, method: &'static str, page: String, status: u16, moves: &mut Moves<Hit>, pause: i64, random: &mut Random) {
        let bytes = random.between(6_000, 48_000);
        self.send(method, &page, status, bytes, moves, pause);
        self.page = format!("{HOST}{page}");
        if self.has_assets {
            let cached = random.chance(0.3);
            for asset in ["/static/css/shop.5d41402a.css", "/static/js/shop.7b52009b.js"] {
                let (status, bytes) = if cached { (304, 0) } else { (200, random.between(14_000, 210_000)) };
                self.send("GET", asset, status, bytes, moves, 60_000 + random.wait_micros(0.08));
            }
        }
        for _ in 0..random.below(3) {
            let image = format!("/images/products/{}.webp", random.between(1000, 4999));
            self.send("GET", &image, 200, random.between(9_000, 90_000), moves, 40_000 + random.wait_micros(0.1));
        }
    }

    fn send(&self, method: &'static str, target: &str, status: u16, bytes: i64, moves: &mut Moves<Hit>, pause: i64) {
        let mut hit = Hit::new(method, target, status, bytes);
        hit.referrer.clone_from(&self.page);
        moves.push_back((pause, hit));
    }

    /// The line of nginx's format `combined`.
    pub fn write(&self, hit: &Hit, time: Timestamp) -> String {
        let mut line = format!("{} - {} [{}] \"", self.address, self.user, clock::common_log(time));
        push_escaped(&mut line, &format!("{} {} {}", hit.method, hit.target, self.version));
        let _ = write!(line, "\" {} {} \"", hit.status, hit.bytes);
        push_escaped(&mut line, &hit.referrer);
        line.push_str("\" \"");
        push_escaped(&mut line, hit.agent.as_deref().unwrap_or(&self.agent));
        line.push('"');
        line
    }
}

/// nginx writes `"`, `\` and everything outside printable ASCII as `\xXX`.
fn push_escaped(line: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | 0..0x20 | 0x7f.. => {
                let _ = write!(line, "\\x{byte:02X}");
            }
            byte => line.push(char::from(byte)),
        }
    }
}

fn machine(address: String, agent: &str) -> Visitor {
    Visitor {
        address,
        agent: agent.to_owned(),
        version: "HTTP/1.1",
        user: "-",
        pages_left: 0,
        page: "-".to_owned(),
        has_assets: false,
    }
}

fn bot(random: &mut Random) -> (Visitor, Moves<Hit>) {
    let (net, agent) = random.pick(&BOTS);
    let visitor = machine(format!("{net}.{}", random.between(1, 254)), agent);
    let mut moves = Moves::new();
    if random.chance(0.3) {
        moves.push_back((1_000, Hit::new("GET", "/robots.txt", 200, 214)));
    }
    for _ in 0..random.between(2, 7) {
        let (target, status) = if random.chance(0.06) { (format!("/product/{}", random.below(999)), 404) } else { (product(random), 200) };
        moves.push_back((random.wait_micros(7.0), Hit::new("GET", target, status, random.between(6_000, 40_000))));
    }
    (visitor, moves)
}

fn health_check(random: &mut Random) -> (Visitor, Moves<Hit>) {
    let (address, agent) = if random.chance(0.7) {
        (format!("10.0.{}.{}", random.between(1, 3), random.between(10, 40)), "ELB-HealthChecker/2.0")
    } else {
        ("216.144.248.25".to_owned(), "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)")
    };
    let check = |i: i64| (if i == 0 { 1_000 } else { 15_000_000 }, Hit::new("GET", "/healthz", 200, 2));
    (machine(address, agent), (0..4).map(check).collect())
}

fn api_client(random: &mut Random) -> (Visitor, Moves<Hit>) {
    let address = ACCESS[3].address(random).to_string();
    let visitor = machine(address, random.word(&["okhttp/4.12.0", "ShopApp/7.3.1 (iOS 18.6)", "python-requests/2.32.5"]));
    let mut moves = Moves::new();
    for _ in 0..random.between(3, 9) {
        let target = format!("/api/v1/products?category={}&limit=50", random.word(&CATEGORIES));
        moves.push_back((random.wait_micros(2.0), Hit::new("GET", target, 200, random.between(2_000, 20_000))));
    }
    (visitor, moves)
}

/// A customer signs in, now and then on the second or third try: the near miss of guessing.
fn login(time: Timestamp, random: &mut Random) -> (Visitor, Moves<Hit>) {
    let mut visitor = visitor(time, random);
    let mut moves = Moves::new();
    visitor.open("GET", "/login".to_owned(), 200, &mut moves, 1_000, random);
    let failures = *random.weighted(&[(0, 80), (1, 15), (2, 5)]);
    for _ in 0..failures {
        visitor.send("POST", "/login", 401, 1320, &mut moves, 6_000_000 + random.wait_micros(5.0));
    }
    visitor.send("POST", "/login", 302, 0, &mut moves, 5_000_000 + random.wait_micros(4.0));
    visitor.open("GET", "/account".to_owned(), 200, &mut moves, 90_000, random);
    (visitor, moves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_cannot_leave_its_field() {
        let mut hit = Hit::new("GET", "/a\"b", 200, 1);
        hit.agent = Some("x\n\"\\\u{e9}".to_owned());
        let line = machine("192.0.2.1".into(), "-").write(&hit, Timestamp(0));
        assert_eq!(
            line,
            r#"192.0.2.1 - - [01/Jan/1970:00:00:00 +0000] "GET /a\x22b HTTP/1.1" 200 1 "-" "x\x0A\x22\x5C\xC3\xA9""#
        );
    }
}
