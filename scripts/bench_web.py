#!/usr/bin/env python3
"""Rates and speed of the inspector per corpus: the tables of docs/web.md, and a check that they did not get worse.

    scripts/bench_web.py                  all corpora, printed
    scripts/bench_web.py --peers          beside libmodsecurity + CRS and libddwaf, on the same sample
    scripts/bench_web.py --peers --write  … and written into docs/web.md between the marks
    scripts/bench_web.py --check          a quick sample against scripts/bench_web.floor.json (part of make test)
    scripts/bench_web.py --bless          writes that file from what is measured now

The corpora are read from $ERNE_SHARED/data/waf, else ../shared/data/waf beside the project; without them only generated requests are measured, and that is said.
`--measure` names the program that inspects: `erne web measure -` ($ERNE), or the light example `measure`.
"""
import argparse, base64, json, lzma, os, random, subprocess, sys, tempfile, time
from urllib.parse import parse_qs, quote, urlsplit

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCS, FLOOR = f"{ROOT}/docs/web.md", f"{ROOT}/scripts/bench_web.floor.json"
MARKS = ("<!-- bench_web: begin -->", "<!-- bench_web: end -->")
SEEN, HELD = "developed on", "held out"

# Row, file, half ("odd" and "even" of a hash of the host or the id), status.
CORPORA = [
    ("wcp-legit, odd hosts", "wcp_legit_sitesA", "odd", SEEN),
    ("apache-log, odd half", "apache_log", "odd", SEEN),
    ("httpparams", "httpparams", None, SEEN),
    ("fuzzdb", "fuzzdb", None, SEEN),
    ("fwaf_badqueries", "fwaf_badqueries", None, SEEN),
    ("patt, odd half", "patt", "odd", SEEN),
    ("crs_regression, odd half", "crs_regression", "odd", SEEN),
    ("wcp-legit, even hosts", "wcp_legit_sitesA", "even", HELD),
    ("apache-log, even half", "apache_log", "even", HELD),
    ("patt, even half", "patt", "even", HELD),
    ("crs_regression, even half", "crs_regression", "even", "looked at long ago"),
    ("gotestwaf", "gotestwaf", None, "looked at after its first figure"),
    ("libinjection", "libinjection", None, "its benign texts were looked at"),
    ("torpeda2012", "torpeda2012", None, HELD),
    ("grananqvist", "grananqvist", None, "looked at after its first figure"),
]
# What a check may be worse by than the floor file says: points of TPR, points of FPR.
SLACK = (0.5, 0.15)


def half(text):
    h = 0xCBF29CE484222325
    for b in text.encode():
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return "odd" if h >> 32 & 1 else "even"


def key(item, file):
    if file == "wcp_legit_sitesA":
        return next((v for n, v in pairs(item) if n.lower() == "host"), "")
    return str(item.get("id", ""))


def pairs(item):
    headers = item.get("headers") or []
    return list(headers.items()) if isinstance(headers, dict) else headers


def load(data, only=None):
    """Rows of one corpus after the other; each request's `src` is its row's name."""
    files = {}
    for name, file, which, status in sorted(CORPORA, key=lambda c: [x[1] for x in CORPORA].index(c[1])):
        path = f"{data}/{file}.jsonl.xz"
        if not os.path.exists(path) or only and name not in only:
            continue
        if file not in files:
            files.clear()
            with lzma.open(path, "rt", encoding="utf-8") as lines:
                files[file] = [json.loads(line) for line in lines]
        rows = [dict(i, src=name) for i in files[file] if which is None or half(key(i, file)) == which]
        yield name, status, rows


def measure(command, rows, repeat):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
        file.flush()
        if command.endswith("measure") and "web" not in command.split():
            with open(file.name) as text:
                out = subprocess.run([*command.split(), "--bare", "--times", str(repeat)], stdin=text, capture_output=True, text=True, check=True).stdout
        else:
            out = subprocess.run([*command.split(), "--repeat", str(repeat), file.name], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in out.splitlines():
        words = line.replace(" %", "").rsplit(None, 8)
        if len(words) == 9 and words[1].isdigit():
            rate = lambda w: None if w == "-" else float(w)
            found[words[0].strip()] = dict(attacks=int(words[1]), benign=int(words[2]), tpr=rate(words[3]), fpr=rate(words[4]), rps=float(words[5]), p50=float(words[6]), p99=float(words[7]), max=float(words[8]))
    if not found:
        sys.exit(f"no table from {command}:\n{out[:500]}")
    return found


def generated(count, seed=7):
    example = os.environ.get("WEB_REQUESTS") or sibling("requests")
    if not example:
        return []
    out = subprocess.run([example, "benign", str(seed), str(count)], capture_output=True, text=True, check=True).stdout
    return [dict(json.loads(line), src="generated benign") for line in out.splitlines()]


def sibling(name):
    path = f"{os.environ.get('CARGO_TARGET_DIR', ROOT + '/target')}/release/examples/{name}"
    return path if os.path.exists(path) else None


def wrapped(rows, count):
    """The same attacks plain, in Base64, JSON and multipart, and behind and before 128 KiB."""
    r = random.Random(5)
    attacks = r.sample([i for i in rows if i.get("label") and "?" in i["uri"]], count)
    pad = "lorem ipsum, dolor sit amet " * 4700
    post = lambda kind, body: dict(method="POST", uri="/submit", headers=[["Host", "h"], ["User-Agent", "Mozilla/5.0"], ["Content-Type", kind]], body=body)
    for item in attacks:
        value = next(iter(parse_qs(urlsplit(item["uri"]).query, keep_blank_values=True).values()), [""])[0]
        if not value:
            continue
        encoded = quote(value, safe="", errors="surrogatepass")
        shapes = {
            "plain": dict(method="GET", uri=f"/submit?q={encoded}", headers=[["Host", "h"], ["User-Agent", "Mozilla/5.0"]]),
            "Base64": dict(method="GET", uri="/submit?q=" + quote(base64.b64encode(value.encode("utf-8", "surrogatepass")).decode(), safe=""), headers=[["Host", "h"], ["User-Agent", "Mozilla/5.0"]]),
            "JSON": post("application/json", json.dumps({"a": 1, "q": value})),
            "multipart": post("multipart/form-data; boundary=B", f'--B\r\nContent-Disposition: form-data; name="q"\r\n\r\n{value}\r\n--B--\r\n'),
            "after 128 KiB in another field": post("application/x-www-form-urlencoded", f"pad={quote(pad)}&q={encoded}"),
            "behind 128 KiB in the same value": post("application/x-www-form-urlencoded", f"q={quote(pad)}{encoded}"),
        }
        for name, shape in shapes.items():
            yield dict(shape, id=f"{item['id']}", label=1, src="wrapped " + name)


def sample(rows, count, seed=11):
    rows = sorted(rows, key=lambda i: str(i.get("id")))
    return rows if len(rows) <= count else random.Random(seed).sample(rows, count)


def percent(x, scale=1):
    return "–" if x is None else f"{x * scale:.2f} %"


def table(rows):
    yield "| source | | attacks | benign | TPR | FPR | requests/s/core | p50 µs | p99 µs | max µs |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name, status, m in rows:
        yield f"| {name} | {status} | {m['attacks']:,} | {m['benign']:,} | {percent(m['tpr'])} | {percent(m['fpr'])} | {m['rps']:,.0f} | {m['p50']:.1f} | {m['p99']:.1f} | {m['max']:.1f} |"


def peers(rows_by_name, own, python):
    yield "| source | attacks | benign | Erne | CRS 3.3.4 level 1 | level 2 | libddwaf |"
    yield "|---|---|---|---|---|---|---|"
    text = "".join(json.dumps(i) + "\n" for rows in rows_by_name.values() for i in rows)
    results = {}
    for engine, program in (("crs1", sys.executable), ("crs2", sys.executable), ("libddwaf", python)):
        run = subprocess.run([program, f"{ROOT}/scripts/peers/waf.py", engine], input=text, capture_output=True, text=True)
        if run.returncode:
            print(f"{engine} did not run: {run.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            continue
        results[engine] = {r["corpus"]: r for r in map(json.loads, run.stdout.splitlines())}
    both = lambda t, f: f"{percent(t)} / {percent(f)}"
    for name in rows_by_name:
        m = own[name]
        cells = [both(r["tpr"] and r["tpr"] * 100, None if r["fpr"] is None else r["fpr"] * 100) if (r := results.get(e, {}).get(name)) else "not run" for e in ("crs1", "crs2", "libddwaf")]
        yield f"| {name} | {m['attacks']} | {m['benign']} | {both(m['tpr'], m['fpr'])} | {' | '.join(cells)} |"
    for name in rows_by_name:
        if "even hosts" in name:
            m = own[name]
            cells = [f"{r['requests_per_sec']:,.0f}/s, p99 {r['p99_micros'] / 1e3:.1f} ms" if (r := results.get(e, {}).get(name)) else "not run" for e in ("crs1", "crs2", "libddwaf")]
            yield f"| speed on {name} | | | {m['rps']:,.0f}/s, p99 {m['p99'] / 1e3:.2f} ms | {' | '.join(cells)} |"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default=f"{os.environ.get('ERNE_SHARED') or os.path.join(os.path.dirname(__file__), '../../shared')}/data/waf")
    p.add_argument("--measure", help="the program; found by itself")
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--peers", action="store_true")
    p.add_argument("--peers-python", default=os.environ.get("PEERS_PYTHON", sys.executable), help="a Python that has ddtrace")
    p.add_argument("--sample", type=int, default=60, help="requests of a corpus that the peers get; they are slow")
    p.add_argument("--write", action="store_true")
    p.add_argument("--check", action="store_true")
    p.add_argument("--bless", action="store_true")
    a = p.parse_args()
    erne = os.environ.get("ERNE")
    command = a.measure or (f"{erne} web measure" if erne else sibling("measure"))
    if not command:
        sys.exit("no program to measure: set ERNE, or build the example: cargo build --release -p web --examples")
    if a.check or a.bless:
        return check(a, command)
    rows, samples, own, params = [], {}, {}, None
    for name, status, items in load(a.data):
        rows.append((name, status, measure(command, items, a.repeat)[name]))
        samples[name] = sample(items, a.sample)
        params = items if name == "httpparams" else params
    order = [c[0] for c in CORPORA]
    rows.sort(key=lambda row: order.index(row[0]))
    made = generated(17_000)
    if made:
        rows.append(("generated benign", "made by the tests", measure(command, made, a.repeat)["generated benign"]))
        samples["generated benign"] = sample(made, a.sample)
    if not rows:
        sys.exit(f"no corpora in {a.data} and no example `requests`")
    lines = list(table(rows))
    if params:
        shapes = measure(command, list(wrapped(params, 150)), 1)
        lines += ["", "The same attacks of httpparams in other wrappings: " + ", ".join(f"{n.removeprefix('wrapped ')} {m['tpr']:.1f} %" for n, m in shapes.items()) + "."]
    if a.peers:
        own = measure(command, [i for rows in samples.values() for i in rows], a.repeat)
        lines += ["", f"Beside other engines on the same sample of at most {a.sample} requests of each source, TPR / FPR:", "", *peers(samples, own, a.peers_python)]
    text = "\n".join(lines)
    print(text)
    if a.write:
        docs = open(DOCS, encoding="utf-8").read()
        begin, end = docs.index(MARKS[0]) + len(MARKS[0]), docs.index(MARKS[1])
        open(DOCS, "w", encoding="utf-8").write(f"{docs[:begin]}\n{text}\n{docs[end:]}")


def check(a, command):
    """A sample of each corpus that is enough to see a change, in seconds."""
    now = {}
    for name, _, items in load(a.data):
        m = measure(command, sample(items, 3000), 1)[name]
        now[name] = {k: m[k] for k in ("tpr", "fpr") if m[k] is not None}
    if not now:
        print(f"no corpora in {a.data or '$ERNE_SHARED/data/waf'}: the rates were not checked (generated requests are, in the tests of crates/web)")
        return
    if a.bless:
        json.dump(now, open(FLOOR, "w"), indent=1)
        open(FLOOR, "a").write("\n")
        return
    floor, worse = json.load(open(FLOOR)), []
    for name, rates in floor.items():
        for rate, slack in (("tpr", -SLACK[0]), ("fpr", SLACK[1])):
            if rate in rates and name in now and (now[name][rate] - rates[rate] - slack) * slack > 0:
                worse.append(f"{name}: {rate.upper()} {now[name][rate]:.2f} %, was {rates[rate]:.2f} %")
    print("\n".join(worse) or f"the rates of {len(now)} corpora are as good as {os.path.relpath(FLOOR, ROOT)} says")
    sys.exit(1 if worse else 0)


main()
