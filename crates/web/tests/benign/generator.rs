//! Makes harmless requests of the kinds that inspectors take for attacks, from a seed: searches, comments about
//! programming, rich texts, pasted code, telemetry, tokens, pictures, other languages. Every text is made here.

use web::Transaction;

/// What a request is, as measured apart.
pub const KINDS: &[&str] = &[
    "search", "prose", "technical prose", "rich text", "markdown", "beacon", "json api", "graphql", "tokens", "passwords", "languages", "names and addresses", "filters", "urls", "cookies", "documents", "pasted code",
];

/// xorshift64*: reproducible, and good enough to choose words.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn token(&mut self, alphabet: &str, len: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..len).map(|_| letters[self.below(letters.len())]).collect()
    }
}

const HEX: &str = "0123456789abcdef";
const B64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const PRINTABLE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,-./:;<=>?@[]^_{|}~'\"";

const NOUNS: &[&str] = &["shoes", "table", "union", "order", "group", "index", "key", "view", "cat", "car", "coat", "lamp", "river", "engine", "hotel", "ticket", "garden", "script", "image", "house", "state", "union square", "credit union", "student union", "drop box", "drop ceiling", "values", "limit", "case", "users"];
const VERBS: &[&str] = &["select", "update", "delete", "insert", "drop", "create", "join", "execute", "alter", "grant", "load", "copy", "use", "print", "call", "set", "replace", "sleep", "wait", "kill", "choose", "find", "order"];
const GLUE: &[&str] = &["and", "or", "from", "where", "with", "in", "for", "not", "like", "between", "having", "as", "into", "by"];
const ADJECTIVES: &[&str] = &["red", "null", "new", "old", "distinct", "top", "all", "big", "cheap", "second-hand", "50%", "16\"", "6'2\"", "men's", "women's", "kids'", "rock 'n' roll", "#1", "24/7", "A&B", "C++", "C#", ".NET", "R&D"];

fn phrase(d: &mut Dice) -> String {
    match d.below(20) {
        0 => format!("{} {} {} {}", d.of(VERBS), d.of(NOUNS), d.of(GLUE), d.of(NOUNS)),
        1 => format!("\"{}\" {} \"{}\"", d.of(NOUNS), d.of(&["and", "or", "AND", "OR", "NOT"]), d.of(NOUNS)),
        2 => format!("{} {} -- {}", d.of(ADJECTIVES), d.of(NOUNS), d.of(NOUNS)),
        3 => format!("{}'s {}", d.of(&["o'brien", "levi", "Xi'an", "mcdonald", "l'oreal", "D'Angelo"]), d.of(NOUNS)),
        4 => format!("{} < ${} > ${}", d.of(NOUNS), d.below(90), d.below(90)),
        5 => format!("{} ({} {} {})", d.of(NOUNS), d.of(NOUNS), d.of(GLUE), d.of(NOUNS)),
        6 => format!("how to {} {} {} {} {} {}?", d.of(VERBS), d.of(&["a", "the", "all", "my"]), d.of(NOUNS), d.of(GLUE), d.of(ADJECTIVES), d.of(NOUNS)),
        7 => format!("{}={}", d.of(&["x", "price", "1", "size"]), d.below(60)),
        8 => format!("{}\" {} {}\" {}", d.below(30), d.of(&["or", "and", "x", "by"]), d.below(30), d.of(NOUNS)),
        9 => format!("'{}' {} {}", d.of(NOUNS), d.of(GLUE), d.of(NOUNS)),
        10 => format!("{} & {}; {}", d.of(NOUNS), d.of(NOUNS), d.of(&["cat food", "dir en grey", "id card", "who is who", "ls swap kit", "more", "sort by", "find"])),
        11 => format!("{} | {}", d.of(NOUNS), d.of(&["date", "time", "host", "home", "type", "less is more", "cat", "top 10"])),
        12 => format!("-{} +{} \"{} {}\"", d.of(NOUNS), d.of(NOUNS), d.of(ADJECTIVES), d.of(NOUNS)),
        13 => format!("{} {}' or {}'", d.of(NOUNS), d.below(9), d.below(9)),
        14 => format!("site:{}.example {}", d.of(NOUNS).replace(' ', "-"), d.of(NOUNS)),
        15 => format!("{} {} {} where {} {} {}", d.of(VERBS), d.of(NOUNS), d.of(GLUE), d.of(NOUNS), d.of(&["is", "like", "not in", "has", "="]), d.of(ADJECTIVES)),
        _ => format!("{} {}", d.of(ADJECTIVES), d.of(NOUNS)),
    }
}

fn prose(d: &mut Dice) -> String {
    let count = 1 + d.below(5);
    let mut sentences: Vec<String> = Vec::new();
    for _ in 0..count {
        sentences.push(match d.below(16) {
            0 => format!("I'd like to {} the {}, or {} it if that's easier; what do you think?", d.of(VERBS), d.of(NOUNS), d.of(VERBS)),
            1 => format!("It's {} o'clock and we're waiting for the {} -- again!", d.below(12), d.of(NOUNS)),
            2 => format!("He said: \"{} the {}\" and left (really).", d.of(VERBS), d.of(NOUNS)),
            3 => format!("Prices < {} EUR are fine; anything > {} isn't.", d.below(100), d.below(100)),
            4 => format!("Don't {} {} from the {}; it doesn't work :-( ", d.of(VERBS), d.of(NOUNS), d.of(NOUNS)),
            5 => format!("Pick {} and/or {} (1 = yes, 0 = no).", d.of(NOUNS), d.of(NOUNS)),
            6 => format!("Thanks & regards,\n{} {}", d.of(&["Ann", "Bob", "O'Neil", "D'Arcy"]), d.of(&["Smith", "Nguyen", "O'Hara"])),
            7 => format!("See https://{}.example/{}?id={}&x=y#top for the {}.", d.of(NOUNS).replace(' ', "-"), d.of(VERBS), d.below(999), d.of(NOUNS)),
            8 => format!("<3 the {}!!! 10/10 would {} again", d.of(NOUNS), d.of(VERBS)),
            9 => format!("The '{}' and the '{}' are both {}.", d.of(NOUNS), d.of(NOUNS), d.of(ADJECTIVES)),
            10 => format!("Size 5'10\" or 6', weight {} lbs; {}% off.", d.below(300), d.below(99)),
            11 => format!("Please {} my {} from the list; else I'll {} it myself.", d.of(VERBS), d.of(NOUNS), d.of(VERBS)),
            12 => format!("Where's the {}? In the {}, like '{}'?", d.of(NOUNS), d.of(NOUNS), d.of(ADJECTIVES)),
            13 => format!("{} | {} | {}", d.of(NOUNS), d.of(NOUNS), d.of(NOUNS)),
            14 => format!("* {}\n* {}\n* {}", phrase(d), phrase(d), phrase(d)),
            _ => format!("The {} {} was {} than the {}.", d.of(ADJECTIVES), d.of(NOUNS), d.of(&["better", "worse"]), d.of(NOUNS)),
        });
    }
    sentences.join(" ")
}

fn technical(d: &mut Dice) -> String {
    match d.below(14) {
        0 => format!("You can't use a GROUP BY without an aggregate; try ORDER BY {} instead.", d.of(NOUNS)),
        1 => "The query SELECT name FROM users is slow, should I add an index?".to_owned(),
        2 => "What does <div> do that <span> doesn't? And why is <script> at the end of <body>?".to_owned(),
        3 => "I get \"undefined is not a function\" when calling alert() in onclick.".to_owned(),
        4 => "In bash, `ls -la` lists hidden files; use `rm` with care.".to_owned(),
        5 => "Set the path in C:\\Users\\ann\\AppData\\Local and restart.".to_owned(),
        6 => "Edit ~/.bashrc or /etc/nginx/nginx.conf, then reload.".to_owned(),
        7 => format!("error: expected ';' before '}}' token at line {}", d.below(900)),
        8 => "TypeError: Cannot read properties of null (reading 'length')\n    at render (https://cdn.example/app.js:1:2345)\n    at Object.next (https://cdn.example/app.js:2:99)".to_owned(),
        9 => format!("The template uses {{{{ {} }}}} and {{% if x %}}", d.of(&["name", "user.name", "price"])),
        10 => "if (a < b && c > d) return a || b;".to_owned(),
        11 => "Use WHERE id IN (1,2,3) and don't forget the LIMIT.".to_owned(),
        12 => "curl https://api.example/v1/items | jq '.items[0]' prints the first".to_owned(),
        _ => format!("${{{}}} isn't replaced in my docker-compose.yml, why?", d.of(&["HOME", "VERSION", "name"])),
    }
}

fn rich(d: &mut Dice) -> String {
    let mut html = String::new();
    for _ in 0..1 + d.below(6) {
        let text = prose(d).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        html += &match d.below(9) {
            0 => format!("<p>{text}</p>"),
            1 => format!("<p style=\"text-align: center;\"><strong>{text}</strong><br /></p>"),
            2 => format!("<ul>\n<li>{text}</li>\n<li><em>{}</em></li>\n</ul>", d.of(NOUNS)),
            3 => format!("<p><a href=\"https://{}.example/a?b=1&amp;c=2\" target=\"_blank\" rel=\"noopener\">{}</a></p>", d.of(NOUNS).replace(' ', "-"), d.of(NOUNS)),
            4 => format!("<figure class=\"image\"><img src=\"https://cdn.example/{}.png\" alt=\"{}\" width=\"{}\" /></figure>", d.token(HEX, 12), d.of(NOUNS), d.below(900)),
            5 => format!("<table border=\"1\"><tbody><tr><td>{}</td><td>&nbsp;</td></tr></tbody></table>", d.of(NOUNS)),
            6 => format!("<h2 id=\"{}\">{text}</h2><hr>", d.of(NOUNS).replace(' ', "-")),
            7 => format!("<blockquote><p>{text}</p></blockquote>"),
            _ => format!("<p><span style=\"color: rgb({}, 0, 0); font-family: Arial, 'Helvetica Neue', sans-serif;\">{text}</span></p>", d.below(255)),
        };
    }
    html
}

fn markdown(d: &mut Dice) -> String {
    format!("# {}\n\n{}\n\n- [x] {}\n- [ ] `{}`\n\n> {}\n\n[{}](https://{}.example/)\n\n| a | b |\n|---|---|\n| {} | {} |\n", phrase(d), prose(d), phrase(d), d.of(&["npm install", "git status", "make test", "x = y", "cargo run"]), prose(d), d.of(NOUNS), d.of(NOUNS).replace(' ', "-"), d.below(99), d.of(NOUNS))
}

fn code(d: &mut Dice) -> String {
    let (a, b) = (d.of(NOUNS).replace(' ', "_"), d.of(VERBS));
    match d.below(10) {
        0 => format!("def {b}_{a}(items):\n    \"\"\"Returns the {a}.\"\"\"\n    total = 0\n    for item in items:\n        if item['price'] > {} and item.get('ok'):\n            total += item['price']\n    return total\n", d.below(99)),
        1 => format!("function {b}({a}) {{\n  const el = document.getElementById('{a}');\n  if (!el) {{ return null; }}\n  el.textContent = {a}.name || '';\n  return el;\n}}\n"),
        2 => format!("SELECT u.name, COUNT(o.id) AS n\nFROM users u\nLEFT JOIN orders o ON o.user_id = u.id\nWHERE u.created_at > '2024-01-01'\nGROUP BY u.name\nHAVING COUNT(o.id) > {}\nORDER BY n DESC;\n", d.below(20)),
        3 => format!("fn {b}(list: &[u32]) -> Option<u32> {{\n    list.iter().copied().filter(|x| *x > {}).max()\n}}\n", d.below(100)),
        4 => format!("#!/bin/sh\nset -e\nfor f in *.{}; do\n  echo \"$f\"\n  mv \"$f\" \"${{f%.txt}}.md\"\ndone\n", d.of(&["txt", "md"])),
        5 => format!("public class {} {{\n  private final Map<String, List<Integer>> {a} = new HashMap<>();\n  public int size() {{ return {a}.size(); }}\n}}\n", d.of(&["Shop", "Cart"])),
        6 => format!(".{} {{ margin: 0 auto; background: url(\"/img/{a}.png\"); }}\n@media (max-width: {}px) {{ .a > .b {{ display: none; }} }}\n", d.of(&["box", "nav"]), d.below(900)),
        7 => format!("version: '3'\nservices:\n  {}:\n    image: nginx:1.25\n    ports: ['{}:80']\n    environment:\n      - A=${{B:-c}}\n", d.of(&["web", "app"]), 1000 + d.below(9000)),
        8 => format!("<form action=\"/{b}\" method=\"post\">\n  <label for=\"{a}\">{a}</label>\n  <input type=\"text\" id=\"{a}\" name=\"{a}\" value=\"\">\n  <button type=\"submit\">{b}</button>\n</form>\n"),
        _ => format!("<?php\n$items = array_filter($items, function ($i) {{ return $i['{a}'] > {}; }});\necho count($items);\n", d.below(50)),
    }
}

fn languages(d: &mut Dice) -> String {
    d.of(&[
        "L'été dernier, j'ai vu l'océan; c'était \"magnifique\" !", "¿Dónde está el baño? ¡Aquí o allí!", "Größe: 5'10\" – über 50 % günstiger & schöner", "我想买一双红色的鞋子,价格<500元", "東京駅から新宿まで 'どうやって' 行きますか?",
        "Выберите заказ из списка или удалите его (№ 5)", "اختر الطلب من القائمة أو احذفه؛ شكرا", "בחר מתוך הרשימה או מחק; 'תודה'", "Chọn đơn hàng từ danh sách và xóa nó", "เลือกสินค้าจากรายการ & ลบ", "주문을 선택하거나 삭제하세요 -- 감사합니다", "Ürünü seç veya sil; 'teşekkürler'", "Qu'est-ce que c'est? L'union fait la force", "d'accord; c'est 1 ou 2 = 3", "Wählen Sie aus: A oder B -- 'Danke'",
    ]).to_owned()
}

fn encode(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) { (b as char).to_string() } else if b == b' ' { "+".to_owned() } else { format!("%{b:02X}") }).collect()
}

fn jwt(d: &mut Dice) -> String {
    format!("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{}.{}", d.token(URL64, 120), d.token(URL64, 342))
}

fn json(pairs: &[(&str, serde_json::Value)]) -> String {
    let map: serde_json::Map<String, serde_json::Value> = pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    serde_json::Value::Object(map).to_string()
}

fn beacon(d: &mut Dice) -> (String, String) {
    match d.below(4) {
        0 => (format!("/collect?v=1&t=event&dl={}&dt={}&ul=en-us&de=UTF-8&sr=1920x1080&ec={}&ea={}&el={}&cid={}.{}&z={}", encode("https://shop.example/a?b=c&d=e"), encode(&phrase(d)), encode(d.of(NOUNS)), d.of(VERBS), encode(&phrase(d)), d.next() % 1_000_000_000, d.next() % 1_000_000_000, d.next() % 1_000_000), String::new()),
        1 => ("/rum".to_owned(), json(&[("url", "https://shop.example/#/a".into()), ("errors", serde_json::json!([{"message": technical(d), "stack": "Error: x\n    at a.b (app.js:1:2)\n    at <anonymous>", "source": "(function(){return this})()"}])), ("timing", serde_json::json!({"dns": d.below(99), "ttfb": d.below(999)})), ("selector", "div#main > ul.list:nth-child(2) li[data-id=\"5\"] a".into())])),
        2 => ("/g/collect".to_owned(), format!("en=scroll&_et={}&ep.label={}\nen=click&ep.css={}", d.below(9999), encode(&phrase(d)), encode("body>div:nth-of-type(1)>a.btn[href='/x']"))),
        _ => ("/sensor".to_owned(), json(&[("sensor_data", format!("2;{};{};0;{},{},{}|{}|-1,-1,-1;do_en,dm_en,t_dis;{}", d.below(99999), d.below(99999), d.below(9), d.token(URL64, 90), d.token(PRINTABLE, 160).replace('\'', ""), d.token(B64, 120), d.token(HEX, 64)).into())])),
    }
}

fn graphql(d: &mut Dice) -> String {
    let query = format!("query {}($id: ID!, $first: Int = {}) {{\n  user(id: $id) {{\n    ...F\n    orders(first: $first, filter: {{status: {{in: [OPEN, CLOSED]}}}}) {{ edges {{ node {{ id total @include(if: true) }} }} }}\n  }}\n}}\nfragment F on User {{ id name __typename }}", d.of(&["GetUser", "Select", "Drop"]), d.below(50));
    json(&[("operationName", "GetUser".into()), ("query", query.into()), ("variables", serde_json::json!({"id": d.below(999).to_string(), "text": phrase(d)}))])
}

fn filters(d: &mut Dice) -> String {
    match d.below(9) {
        0 => format!("/items?filter[price][gte]={}&filter[price][lte]={}&sort=-created_at,name", d.below(99), d.below(999)),
        1 => format!("/odata/Products?$filter={}&$orderby=Name%20desc&$top=20", encode(&format!("Price gt {} and Name eq '{}'", d.below(99), d.of(NOUNS)))),
        2 => format!("/jira/search?jql={}", encode(&format!("project = {} AND status in (Open, \"In Progress\") ORDER BY created DESC", d.of(&["ABC", "OPS"])))),
        3 => format!("/solr/select?q={}", encode(&format!("title:\"{}\" AND price:[{} TO *] OR (color:red NOT size:XL)", d.of(NOUNS), d.below(99)))),
        4 => format!("/logs?query={}", encode(&format!("{{app=\"{}\"}} |= \"error\" | json | duration > {}s", d.of(&["web", "api"]), d.below(9)))),
        5 => format!("/api/v1/query?query={}", encode("sum(rate(http_requests_total{code=~\"5..\"}[5m])) by (job) / 60 > 0.5")),
        6 => format!("/list?page={}&order=price&by=desc&limit=10,20&columns=id,name,count(*)", d.below(50)),
        7 => format!("/map?bbox={}.5,-{}.25,11.0,12.0&layers=a|b|c&style=color:red|weight:3|", d.below(90), d.below(90)),
        _ => format!("/s?q={}&rh=n:{},p_36:{}-{}&ref=nb_sb_noss_{}", encode(&phrase(d)), d.below(99999), d.below(999), d.below(9999), d.below(5)),
    }
}

fn cookies(d: &mut Dice) -> String {
    let consent = encode(&json(&[("version", 2.into()), ("purposes", serde_json::json!({"ads": false, "stats": true})), ("text", prose(d).into())]));
    format!("_ga=GA1.2.{}.{}; session={}; consent={consent}; OptanonConsent=isGpcEnabled=0&datestamp=Sat+Nov+21+2026+10%3A00%3A00+GMT%2B0100+(Central+European+Standard+Time)&groups=C0001%3A1%2CC0002%3A0&AwaitingReconsent=false; last={}; jwt={}; ab=\"{}:{}|{}\"; s_sq=%5B%5BB%5D%5D", d.next() % 1_000_000_000, d.next() % 1_000_000_000, d.token(B64, 200), encode(&phrase(d)), jwt(d), d.of(NOUNS), d.below(3), d.token(URL64, 300))
}

/// The `i`-th request of a seed, of `KINDS[i % KINDS.len()]`.
pub fn request(seed: u64, i: usize) -> (&'static str, Transaction) {
    let mut dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(i as u64));
    let d = &mut dice;
    for _ in 0..4 {
        d.next();
    }
    let kind = KINDS[i % KINDS.len()];
    let mut t = Transaction { method: "GET".into(), version: "HTTP/1.1".into(), ..Transaction::default() };
    let mut set = |name: &str, value: &str| t.headers.push((name.to_owned(), value.to_owned()));
    set("Host", "shop.example");
    set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36");
    set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    set("Accept-Language", "en-US,en;q=0.9");
    let text_fields = |d: &mut Dice, text: String| -> (String, String) {
        if d.below(2) == 0 { ("application/json".to_owned(), json(&[("title", phrase(d).into()), ("content", text.into()), ("draft", true.into())])) } else { ("application/x-www-form-urlencoded".to_owned(), format!("title={}&content={}&csrf={}", encode(&phrase(d)), encode(&text), d.token(HEX, 40))) }
    };
    let mut post: Option<(String, String, String)> = None;
    match kind {
        "search" => t.target = format!("/search?{}={}&page={}", d.of(&["q", "query", "s", "keyword", "term"]), encode(&phrase(d)), d.below(9)),
        "filters" => t.target = filters(d),
        "urls" => t.target = format!("/login?{}={}&utm_source={}&utm_content={}", d.of(&["next", "return", "redirect_uri", "u"]), encode(&format!("https://{}.example/a/../b?x={}&y=(z)#/c;d=1", d.of(&["shop", "www", "accounts"]), encode(&phrase(d)))), d.of(&["news", "a|b", "{{campaign.name}}"]), encode(d.of(NOUNS))),
        "cookies" => {
            t.target = format!("/{}/{}", d.of(VERBS), encode(d.of(NOUNS)));
            let value = cookies(d);
            t.headers.push(("Cookie".into(), value));
        }
        "beacon" => {
            let (target, body) = beacon(d);
            t.target = target.clone();
            if !body.is_empty() {
                post = Some((target, "text/plain;charset=UTF-8".into(), body));
            }
        }
        "graphql" => post = Some(("/graphql".into(), "application/json".into(), graphql(d))),
        "json api" => post = Some(("/api/v2/items".into(), "application/json".into(), json(&[("id", d.below(99_999).into()), ("name", phrase(d).into()), ("tags", serde_json::json!([d.of(NOUNS), d.of(VERBS), d.of(ADJECTIVES)])), ("note", prose(d).into()), ("where", serde_json::json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "path": "/a/b", "op": "replace", "value": null})), ("key", d.token(URL64, 43).into())]))),
        "tokens" => {
            t.target = format!("/callback?code={}&state={}&id_token={}&sig={}", d.token(URL64, 60), encode(&d.token(B64, 64)), jwt(d), encode(&format!("{}==", d.token(B64, 86))));
            let value = format!("Bearer {}", jwt(d));
            t.headers.push(("Authorization".into(), value));
        }
        "passwords" => {
            let len = 10 + d.below(14);
            let password = if d.below(3) == 0 { format!("{}-{}{}'{}!", d.of(NOUNS), d.of(VERBS), d.below(99), d.of(ADJECTIVES)) } else { d.token(PRINTABLE, len) };
            let body = if d.below(2) == 0 { format!("user=ann&password={}", encode(&password)) } else { json(&[("user", "ann@mail.example".into()), ("password", password.into())]) };
            post = Some(("/login".into(), if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" }.into(), body));
        }
        "names and addresses" => {
            let body = format!("name={}&street={}&company={}&iban=DE{}&note={}", encode(d.of(&["Conan O'Brien", "Ann-Marie D'Angelo", "Jean-François N'Diaye", "Robert \"Bob\" Tables", "J. Null", "O'", "Select Smith", "Drop Jones, Jr."])), encode(d.of(&["12/14 King's Rd; 2nd floor", "Apt #5, 10 Union Sq.", "c/o O'Hara & Sons", "Straße 5 (Hinterhaus)"])), encode(d.of(&["Procter & Gamble", "<none>", "AT&T", "Dun & Bradstreet | EMEA", "Toys \"R\" Us", "Yahoo!"])), d.below(99_999_999), encode(&phrase(d)));
            post = Some(("/checkout".into(), "application/x-www-form-urlencoded".into(), body));
        }
        "documents" => {
            let picture = format!("data:image/png;base64,iVBORw0KGgo{}", { let n = 200 + d.below(3000); d.token(B64, n) });
            post = Some(("/upload".into(), "application/json".into(), json(&[("image", picture.into()), ("svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 10 10\"><path d=\"M0 0h10v10z\" fill=\"#f00\"/></svg>".into()), ("csv", "id;name;price\n1;\"a, b\";5\n2;'c';6\n".into()), ("path", "uploads/2026/11/../11/a b.png".into())])));
        }
        other => {
            let text = match other {
                "prose" => prose(d),
                "technical prose" => format!("{} {}", technical(d), prose(d)),
                "rich text" => rich(d),
                "markdown" => markdown(d),
                "languages" => languages(d),
                _ => if d.below(2) == 0 { code(d) } else { format!("{}\n\n```\n{}```\n", prose(d), code(d)) },
            };
            let (content_type, body) = text_fields(d, text);
            post = Some(("/posts".into(), content_type, body));
        }
    }
    if let Some((target, content_type, body)) = post {
        t.method = "POST".into();
        t.target = target;
        t.headers.push(("Content-Type".into(), content_type));
        t.headers.push(("Content-Length".into(), body.len().to_string()));
        t.body = body.into_bytes();
    }
    (kind, t)
}
