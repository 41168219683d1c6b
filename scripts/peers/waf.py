#!/usr/bin/env python3
"""Labelled requests (JSON lines on standard input) through another inspector: one JSON row for each corpus.

    xz -dc x.jsonl.xz | scripts/peers/waf.py crs1      libmodsecurity with the OWASP rules, paranoia level 1
    xz -dc x.jsonl.xz | scripts/peers/waf.py crs2      … level 2
    xz -dc x.jsonl.xz | scripts/peers/waf.py libddwaf  libddwaf with the rules of the ddtrace wheel

libmodsecurity is called in process by its C interface (Debian: libmodsecurity3, modsecurity-crs), libddwaf by ddtrace's
own binding (run this with the Python that has it). A request counts as an attack if the engine would block it.
"""
import base64, ctypes, glob, json, os, sys, tempfile, time
from urllib.parse import parse_qsl, urlsplit

CRS = "/usr/share/modsecurity-crs"
BASE = """
SecRuleEngine On
SecRequestBodyAccess On
SecResponseBodyAccess Off
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 1310720
SecPcreMatchLimit 100000
SecPcreMatchLimitRecursion 100000
SecAuditEngine Off
SecTmpDir /tmp/
SecDataDir /tmp/
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\\+|/)|text/)xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/(?:[a-z0-9.-]+\\+)?json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecAction "id:900000,phase:1,nolog,pass,t:none,setvar:tx.paranoia_level=%d"
"""


class Intervention(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("pause", ctypes.c_int), ("url", ctypes.c_char_p), ("log", ctypes.c_char_p), ("disruptive", ctypes.c_int)]


class ModSecurity:
    def __init__(self, level):
        lib = self.lib = ctypes.CDLL("libmodsecurity.so.3")
        pointer = ctypes.c_void_p
        for name in ("msc_init", "msc_create_rules_set", "msc_new_transaction"):
            getattr(lib, name).restype = pointer
        self.engine = pointer(lib.msc_init())
        # Hits are counted by what the engine would do, not by its log.
        self.silent = ctypes.CFUNCTYPE(None, pointer, pointer)(lambda _data, _message: None)
        lib.msc_set_log_cb(self.engine, self.silent)
        self.rules = pointer(lib.msc_create_rules_set())
        with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as file:
            file.write(BASE % level)
            setup = [p for p in ("/etc/modsecurity/crs/crs-setup.conf", f"{CRS}/crs-setup.conf.example") if os.path.exists(p)]
            for path in setup[:1] + sorted(glob.glob(f"{CRS}/rules/*.conf")):
                file.write(f"Include {path}\n")
        error = ctypes.c_char_p()
        if lib.msc_rules_add_file(self.rules, file.name.encode(), ctypes.byref(error)) < 0:
            sys.exit(f"the rules cannot be loaded: {(error.value or b'').decode(errors='replace')}")
        os.unlink(file.name)

    def attack(self, method, uri, headers, body):
        lib, t = self.lib, ctypes.c_void_p(self.lib.msc_new_transaction(self.engine, self.rules, None))
        blocked = lambda: (lambda i: lib.msc_intervention(t, ctypes.byref(i)) != 0 and i.disruptive != 0)(Intervention(200, 0, None, None, 0))
        try:
            lib.msc_process_connection(t, b"192.0.2.1", 4711, b"192.0.2.2", 80)
            lib.msc_process_uri(t, uri.encode("utf-8", "surrogatepass"), method.encode(), b"1.1")
            for name, value in headers:
                n, v = name.encode("utf-8", "replace"), value.encode("utf-8", "replace")
                lib.msc_add_n_request_header(t, n, ctypes.c_size_t(len(n)), v, ctypes.c_size_t(len(v)))
            lib.msc_process_request_headers(t)
            if blocked():
                return True
            if body:
                lib.msc_append_request_body(t, body, ctypes.c_size_t(len(body)))
            lib.msc_process_request_body(t)
            return blocked()
        finally:
            lib.msc_transaction_cleanup(t)


class Ddwaf:
    def __init__(self):
        import ddtrace.appsec
        from ddtrace.appsec import _ddwaf
        rules = open(os.path.join(os.path.dirname(ddtrace.appsec.__file__), "rules.json"), "rb").read()
        make = getattr(_ddwaf, "DDWaf", None)
        if make is None:
            from ddtrace.appsec._ddwaf.waf import DDWaf as make
        parsed = json.loads(rules)
        for first in (rules, parsed):
            for metrics in (None, *self.metrics()):
                try:
                    self.waf = make(first, b"", b"", metrics) if metrics else make(first, b"", b"")
                    return
                except Exception as problem:
                    self.problem = problem
        sys.exit(f"this version of ddtrace is not known here: {self.problem}")

    @staticmethod
    def metrics():
        try:
            from ddtrace.appsec._metrics import _set_waf_init_metric
            return ()
        except ImportError:
            return ()

    def attack(self, method, uri, headers, body):
        parts = urlsplit(uri if uri.startswith("http") else "http://h" + uri)
        low = {}
        for name, value in headers:
            low.setdefault(name.lower(), []).append(value)
        query = {}
        for k, v in parse_qsl(parts.query, keep_blank_values=True):
            query.setdefault(k, []).append(v)
        data = {
            "server.request.method": method, "server.request.uri.raw": uri, "server.request.query": query,
            "server.request.headers.no_cookies": {k: v for k, v in low.items() if k != "cookie"},
            "server.request.cookies": dict(c.strip().split("=", 1) for v in low.get("cookie", []) for c in v.split(";") if "=" in c),
        }
        if body:
            kind = (low.get("content-type") or [""])[0]
            text = body.decode("utf-8", "replace")
            try:
                data["server.request.body"] = json.loads(text) if "json" in kind else dict(parse_qsl(text, keep_blank_values=True)) if "urlencoded" in kind else text
            except ValueError:
                data["server.request.body"] = text
        context = self.waf._at_request_start()
        result = self.waf.run(context, data, timeout_ms=1000)
        # The events themselves: which of them block is a setting of the tracer.
        return bool(getattr(result, "data", None))


def main():
    engine = {"crs1": lambda: ModSecurity(1), "crs2": lambda: ModSecurity(2), "libddwaf": Ddwaf}[sys.argv[1]]()
    rows = {}
    for line in sys.stdin:
        item = json.loads(line)
        headers = item.get("headers") or []
        headers = list(headers.items()) if isinstance(headers, dict) else [(k, v) for k, v in headers]
        body = base64.b64decode(item["body_b64"]) if item.get("body_b64") else (item.get("body") or "").encode("utf-8", "surrogatepass")
        row = rows.setdefault(item.get("src", ""), {"attacks": 0, "found": 0, "benign": 0, "raised": 0, "nanos": []})
        started = time.perf_counter_ns()
        attack = engine.attack(item.get("method") or "GET", item["uri"], headers, body)
        row["nanos"].append(time.perf_counter_ns() - started)
        row["attacks" if item.get("label") else "benign"] += 1
        row["found" if item.get("label") else "raised"] += attack
    for corpus, row in rows.items():
        nanos = sorted(row.pop("nanos"))
        share = lambda part, all_: row[part] / row[all_] if row[all_] else None
        print(json.dumps({"corpus": corpus, "attacks": row["attacks"], "benign": row["benign"], "tpr": share("found", "attacks"), "fpr": share("raised", "benign"), "requests_per_sec": len(nanos) * 1e9 / sum(nanos), "p50_micros": nanos[len(nanos) // 2] / 1e3, "p99_micros": nanos[int(len(nanos) * 0.99)] / 1e3, "max_micros": nanos[-1] / 1e3}))


main()
