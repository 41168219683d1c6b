#!/usr/bin/env python3
"""Trains `crates/web/models/dga.bin`: how much a domain's label looks made by a program.

    scripts/train_dga.py [--seed N] [--benign FILE.tsv …] [--out crates/web/models]

Malicious names come from the generators below. Each follows what is published about a family (Plohmann et al., "A
Comprehensive Measurement Study of Domain Generating Malware", USENIX Security 2016, and the analyses it cites):
alphabet, length and structure, with a random generator in place of the family's seeds, so that nothing learns one
day's list. Benign names are package names (first column of the .tsv files) and words made of their parts.
Families are split: what is measured was made by families that were not trained on.
Standard library only; the same seed and lists give the same file.
"""
import argparse, hashlib, json, math, random, sys

BUCKETS_LOG2 = 13
DENSE = 7
AZ, VOWELS, CONS = "abcdefghijklmnopqrstuvwxyz", "aeiou", "bcdfghjklmnpqrstvwxz"
ALNUM = AZ + "0123456789"

def letters(r, low, high, alphabet=AZ):
    return "".join(r.choice(alphabet) for _ in range(r.randint(low, high)))

def pronounced(r, low, high, start=None):
    out, vowel = "", r.random() < 0.4
    for _ in range(r.randint(low, high)):
        out += r.choice(VOWELS if vowel else CONS)
        vowel = not vowel
    return out

def hexed(r, low, high):
    return hashlib.md5(str(r.random()).encode()).hexdigest()[: r.randint(low, high)]

def lcg(r, low, high, base):
    state, out = r.getrandbits(32), ""
    for _ in range(r.randint(low, high)):
        state = (state * 16807) % 2147483647
        out += AZ[state % base]
    return out

def words(r, parts, low, high, glue=("",)):
    return r.choice(glue).join(r.choice(parts) for _ in range(r.randint(low, high)))

FAMILIES = {
    # name: (split, generator). Letters by a linear congruence or a hash.
    "conficker": ("train", lambda r, w: letters(r, 5, 11)),
    "cryptolocker": ("train", lambda r, w: letters(r, 12, 15, AZ[:25])),
    "ramnit": ("train", lambda r, w: lcg(r, 8, 19, 25)),
    "tinba": ("train", lambda r, w: letters(r, 12, 12, AZ[:25])),
    "pykspa": ("train", lambda r, w: letters(r, 6, 13, AZ + VOWELS * 4)),
    "dyre": ("train", lambda r, w: r.choice(AZ) + hashlib.sha256(str(r.random()).encode()).hexdigest()[:33]),
    "newgoz": ("train", lambda r, w: letters(r, 20, 28, ALNUM)),
    "chinad": ("train", lambda r, w: letters(r, 16, 16, ALNUM)),
    "kraken": ("train", lambda r, w: letters(r, 7, 12, AZ + VOWELS * 2) + r.choice(["able", "dom", "ment", "ing", "ly", "ness", ""])),
    "simda": ("train", lambda r, w: pronounced(r, 7, 11)),
    "padcrypt": ("train", lambda r, w: letters(r, 16, 16, "abcdeflmnok")),
    "torpig": ("train", lambda r, w: letters(r, 7, 9, AZ[:20] + "x")),
    # Held out.
    "necurs": ("test", lambda r, w: letters(r, 7, 21, AZ[:25])),
    "qakbot": ("test", lambda r, w: letters(r, 8, 25)),
    "ranbyus": ("test", lambda r, w: letters(r, 14, 14, AZ[:25])),
    "murofet": ("test", lambda r, w: "".join(AZ[b % 25] for b in hashlib.md5(str(r.random()).encode()).digest()[: r.randint(8, 16)])),
    "emotet": ("test", lambda r, w: letters(r, 16, 16, AZ[:25])),
    "locky": ("test", lambda r, w: letters(r, 6, 17, AZ[:25])),
    "corebot": ("test", lambda r, w: letters(r, 12, 23, AZ + "012345678")),
    "bamital": ("test", lambda r, w: hexed(r, 32, 32)),
    "virut": ("test", lambda r, w: letters(r, 6, 6, AZ + VOWELS)),
    "symmi": ("test", lambda r, w: pronounced(r, 8, 15)),
    "banjori": ("test", lambda r, w: letters(r, 4, 4) + r.choice(w)[:9] + r.choice(w)[:8]),
    "suppobox": ("test", lambda r, w: words(r, w, 2, 2)),
    "matsnu": ("test", lambda r, w: words(r, w, 3, 4, ("", "-"))[:24]),
}

def benign_lists(files, r):
    names, parts = set(), set()
    for file in files:
        with open(file, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name = line.split("\t")[0].strip().lower().split("/")[-1].replace("_", "-").replace(".", "-").strip("-")
                if 3 <= len(name) <= 30 and all(c in ALNUM + "-" for c in name):
                    names.add(name)
                    parts.update(p for p in name.split("-") if 3 <= len(p) <= 10 and p.isalpha())
    # A part that many names share is a word; the rest may be anything.
    count = {}
    for name in names:
        for part in set(name.split("-")):
            count[part] = count.get(part, 0) + 1
    parts = sorted(p for p in parts if count.get(p, 0) >= 12)
    return sorted(names), parts

def benign_name(r, names, parts):
    kind = r.random()
    if kind < 0.45:
        return r.choice(names)
    if kind < 0.60:
        return r.choice(names).replace("-", "")
    if kind < 0.80:
        return words(r, parts, 1, 3, ("", "", "-"))
    if kind < 0.86:
        return r.choice(parts) + str(r.randint(1, 2026))
    if kind < 0.90:
        return letters(r, 2, 4) + r.choice(parts)
    if kind < 0.94:
        return letters(r, 2, 5) + r.choice(["", "", "cdn", "img", "ads", "net", "media", "static", "tv"])
    return r.choice(parts)[:6] + r.choice(["ly", "ify", "hub", "io", "app", "shop", "online", "group", "tech", "net", "blog", "media"])

def fnv(data, seed):
    h = (0x811C9DC5 ^ seed) & 0xFFFFFFFF
    for b in data:
        h = ((h ^ b) * 0x01000193) & 0xFFFFFFFF
    return h ^ h >> 15

def dense(label):
    n = len(label)
    alpha = [c for c in label if c in AZ]
    vowels = sum(c in "aeiouy" for c in alpha)
    run = longest = 0
    for c in label:
        run = run + 1 if c in AZ and c not in "aeiouy" else 0
        longest = max(longest, run)
    counts = {}
    for c in label:
        counts[c] = counts.get(c, 0) + 1
    entropy = -sum(v / n * math.log2(v / n) for v in counts.values())
    switches = sum((a in "0123456789") != (b in "0123456789") for a, b in zip(label, label[1:]))
    return [min(n, 40) / 20, vowels / max(1, len(alpha)), longest / 6, (n - len(alpha) - label.count("-")) / n, entropy / 4, switches / 6, 1.0 if label.count("-") else 0.0]

def features(label):
    data = ("^" + label + "$").encode()
    found = set()
    for size in (2, 3, 4):
        for i in range(len(data) - size + 1):
            found.add(fnv(data[i : i + size], size) >> (32 - BUCKETS_LOG2))
    weight = 1 / math.sqrt(max(1, len(found)))
    return sorted(found), weight, dense(label)

def margin(w, d, b, f):
    grams, weight, own = f
    return b + weight * sum(w[g] for g in grams) + sum(x * y for x, y in zip(d, own))

def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=40000)
    p.add_argument("--epochs", type=int, default=6)
    p.add_argument("--benign", nargs="+", default=["/usr/share/package-lists/npm.tsv", "/usr/share/package-lists/pypi.tsv"])
    p.add_argument("--evaluate", help="benign host names, one a line, never trained on")
    p.add_argument("--out", default="crates/web/models")
    a = p.parse_args()
    r = random.Random(a.seed)
    names, parts = benign_lists(a.benign, r)
    r.shuffle(names)
    r.shuffle(parts)
    # Names and words of the test are others than those of the training.
    half = lambda x: (x[: len(x) * 4 // 5], x[len(x) * 4 // 5 :])
    (names, names_test), (parts, parts_test) = half(names), half(parts)
    train = [f for f, (split, _) in FAMILIES.items() if split == "train"]
    rows = []
    for i in range(a.count):
        rows.append((features(FAMILIES[train[i % len(train)]][1](r, parts)), 1.0))
        rows.append((features(benign_name(r, names, parts)), 0.0))
    w, d, b = [0.0] * (1 << BUCKETS_LOG2), [0.0] * DENSE, 0.0
    gw, gd, gb = [1e-6] * len(w), [1e-6] * DENSE, 1e-6
    for epoch in range(a.epochs):
        r.shuffle(rows)
        for f, label in rows:
            g = 1 / (1 + math.exp(-max(-30.0, min(30.0, margin(w, d, b, f))))) - label
            for gram in f[0]:
                step = g * f[1] + 1e-6 * w[gram]
                gw[gram] += step * step
                w[gram] -= 0.3 * step / math.sqrt(gw[gram])
            for i, x in enumerate(f[2]):
                gd[i] += (g * x) ** 2
                d[i] -= 0.3 * g * x / math.sqrt(gd[i])
            gb += g * g
            b -= 0.3 * g / math.sqrt(gb)
    # Weights as bytes; what is measured below is what ships.
    scale = max(abs(x) for x in w) / 127
    q = [round(x / scale) for x in w]
    w = [x * scale for x in q]
    benign = [benign_name(r, names_test, parts_test) for _ in range(20000)]
    scores = sorted(margin(w, d, b, features(n)) for n in benign)
    threshold = scores[int(len(scores) * 0.99)]
    rate = lambda labels, t: sum(margin(w, d, b, features(x)) >= t for x in labels) / len(labels)
    made = {f: [gen(r, parts_test) for _ in range(1000)] for f, (split, gen) in FAMILIES.items()}
    card = {
        "seed": a.seed, "threshold_margin": round(threshold, 4), "fpr_at_threshold": 0.01,
        "families_trained": {f: rate(made[f], threshold) for f in made if FAMILIES[f][0] == "train"},
        "families_held_out": {f: rate(made[f], threshold) for f in made if FAMILIES[f][0] == "test"},
        "benign": "package names of npm and PyPI and words made of their parts, held-out fifth",
    }
    if a.evaluate:
        hosts = [h.strip() for h in open(a.evaluate) if len(h.strip()) > 5 and not h.startswith("xn--")]
        card["benign_hosts_raised"] = rate(hosts, threshold)
        card["benign_hosts"] = len(hosts)
        for h in sorted(hosts, key=lambda x: -margin(w, d, b, features(x)))[:40]:
            print(f"{margin(w, d, b, features(h)):.2f} {h}", file=sys.stderr)
    out = bytearray(b"ERNEDGA1")
    import struct
    out += struct.pack("<B7f3f", BUCKETS_LOG2, *d, b, scale, threshold)
    out += struct.pack(f"{len(q)}b", *q)
    open(f"{a.out}/dga.bin", "wb").write(out)
    card["sha256"] = hashlib.sha256(out).hexdigest()
    # The Rust code must compute the same.
    card["vectors"] = {x: round(margin(w, d, b, features(x)), 3) for x in ["wikipedia", "google", "kq7x3vz9wtpl", "hrtbvcnwqzpkd", "my-shop-24", "a", "lumezivopa", "9f86d081884c7d659a2feaa0c55ad015"]}
    json.dump(card, open(f"{a.out}/dga.json", "w"), indent=1)
    print(json.dumps(card, indent=1))

main()
