// DEVELOPMENT TOOL ONLY: invented people, places and rules for mock/server.mjs.
const place = (ip, country, city, lat, long, as, asn, hostile = false) => ({ ip, country, city, lat, long, as, asn, hostile });
export const PLACES = [
  place("192.0.2.14", "DE", "Berlin", 52.52, 13.4, 64500, "Nordnetz"), place("192.0.2.31", "FR", "Paris", 48.85, 2.35, 64501, "Reseau Sud"),
  place("192.0.2.77", "US", "Ashburn", 39.04, -77.49, 64502, "Eastern Cloud"), place("192.0.2.90", "JP", "Tokyo", 35.68, 139.69, 64503, "Kanto Net"),
  place("192.0.2.120", "BR", "São Paulo", -23.55, -46.63, 64504, "Rede Paulista"), place("192.0.2.141", "IN", "Bengaluru", 12.97, 77.59, 64505, "Deccan Online"),
  place("192.0.2.160", "SE", "Stockholm", 59.33, 18.07, 64506, "Malar IT"), place("192.0.2.171", "CA", "Toronto", 43.65, -79.38, 64507, "Lakeside"),
  place("198.51.100.7", "NL", "Amsterdam", 52.37, 4.9, 64510, "Bulk Hosting", true), place("198.51.100.23", "RU", "Moscow", 55.75, 37.62, 64511, "Volga VPS", true),
  place("198.51.100.61", "CN", "Shenzhen", 22.54, 114.06, 64512, "Pearl Delta", true), place("198.51.100.88", "US", "Los Angeles", 34.05, -118.24, 64513, "Cheap Boxes", true),
  place("203.0.113.5", "VN", "Hanoi", 21.03, 105.85, 64514, "Red River", true), place("203.0.113.44", "NG", "Lagos", 6.52, 3.38, 64515, "Lagoon Telecom", true),
  place("203.0.113.99", "BR", "Recife", -8.05, -34.88, 64516, "Costa Net", true), place("203.0.113.150", "ID", "Jakarta", -6.2, 106.85, 64517, "Java Link", true),
  place("203.0.113.201", "RO", "Bucharest", 44.43, 26.1, 64518, "Dambovita", true), place("198.51.100.140", "ZA", "Cape Town", -33.92, 18.42, 64519, "Table Bay", true),
];
const home = PLACES.filter((p) => !p.hostile);
export const NAMES = ["root", "admin", "ubuntu", "postgres", "oracle", "test", "deploy"];
export const USERS = ["mira.lange", "jonas.berg", "ci-deployer", "ana.souza", "k.tanaka", "backup-svc", "p.moreau", "s.iyer", "l.eriksson"].map((name, i) => ({ name, place: home[i % home.length] }));
export const SERVICES = ["checkout", "catalogue", "billing", "search"];

const c = (selection, field, operator, expected, actual) => ({ selection, field, operator, expected, actual: String(actual ?? "") });
const rule = (id, name, kind, level, on, techniques, tactics, description, say, extra) => ({ id: `mock-${id}`, name, kind, level, on, techniques, tactics, description, say, ...extra });
const cloud = (id, name, level, call, techniques, tactics, description, extra = {}) =>
  rule(id, name, "sigma", level, "cloud", techniques, tactics, description, `{who} called ${call[0]} from {ip} ({country})`, {
    call, cond: (e) => [c("selection", "eventSource", "equals", call[1], e.api.service.name), c("selection", "eventName", "equals", call[0], e.api.operation)], ...extra,
  });
const web = (id, name, level, sample, pattern, techniques, tactics, description, extra = {}) =>
  rule(id, name, "sigma", level, "web", techniques, tactics, description, `{ip} ({country}) sent a request that holds ${pattern}`, {
    sample, cond: (e) => [c("selection", "cs-method", "equals", e.http_request.http_method, e.http_request.http_method), c("keywords", "cs-uri", "contains", pattern, sample)], ...extra,
  });

export const RULES = [
  cloud("trail-stop", "CloudTrail logging stopped", "critical", ["StopLogging", "cloudtrail.amazonaws.com"], ["T1562.008"], ["defense-evasion"], "Somebody switched off the audit trail of an account. Attackers do this before the noisy part.", { false_positives: ["A planned move of the trail to another account: ask the platform team."], references: ["https://attack.mitre.org/techniques/T1562/008/"] }),
  cloud("key-create", "Access key made for another user", "high", ["CreateAccessKey", "iam.amazonaws.com"], ["T1098.001"], ["persistence", "privilege-escalation"], "A long-lived key was created for a user that is not the caller.", { false_positives: ["Provisioning pipelines that rotate keys."], references: ["https://attack.mitre.org/techniques/T1098/001/"] }),
  cloud("user-create", "IAM user created outside the pipeline", "medium", ["CreateUser", "iam.amazonaws.com"], ["T1136.003"], ["persistence"], "A new IAM user that the provisioning role did not make.", { false_positives: ["Onboarding done by hand."] }),
  cloud("policy-admin", "Administrator policy attached", "high", ["AttachUserPolicy", "iam.amazonaws.com"], ["T1098", "T1548"], ["privilege-escalation"], "A policy that allows everything was attached to a user."),
  cloud("bucket-public", "Bucket policy made public", "high", ["PutBucketPolicy", "s3.amazonaws.com"], ["T1530"], ["collection"], "A bucket can now be read by anybody."),
  cloud("snapshot-share", "Snapshot shared with a foreign account", "high", ["ModifySnapshotAttribute", "ec2.amazonaws.com"], ["T1537"], ["exfiltration"], "A disk snapshot was shared with an account outside the organisation."),
  cloud("console-noauth", "Console logon without second factor", "medium", ["ConsoleLogin", "signin.amazonaws.com"], ["T1078.004"], ["initial-access", "defense-evasion"], "Somebody entered the console with a password alone."),
  cloud("enum", "Account discovery calls", "low", ["GetAccountAuthorizationDetails", "iam.amazonaws.com"], ["T1087", "T1580"], ["discovery"], "A call that lists every user, role and policy at once."),
  cloud("secrets", "Secret read by an unusual role", "medium", ["GetSecretValue", "secretsmanager.amazonaws.com"], ["T1555"], ["credential-access"], "A stored secret was read."),
  cloud("delete-backup", "Backup vault deleted", "critical", ["DeleteBackupVault", "backup.amazonaws.com"], ["T1485", "T1490"], ["impact"], "The vault that holds backups was deleted."),
  cloud("gpu", "Very large instances started", "medium", ["RunInstances", "ec2.amazonaws.com"], ["T1496"], ["impact"], "Instance types that mining crews like."),
  web("sqli", "SQL injection in a query string", "high", "/api/items?id=1%27%20UNION%20SELECT%20null,version()--", "UNION SELECT", ["T1190"], ["initial-access"], "A request whose query holds a database statement.", { false_positives: ["Scans by your own testers: put their addresses on the trust list."], references: ["https://attack.mitre.org/techniques/T1190/"] }),
  web("traversal", "Path traversal", "medium", "/static/..%2f..%2f..%2fetc/passwd", "../", ["T1083", "T1190"], ["discovery", "initial-access"], "A path that climbs out of the web root."),
  web("webshell", "Known web shell path requested", "critical", "/uploads/cmd.php?c=id", "cmd.php", ["T1505.003", "T1059"], ["persistence", "execution"], "A request for a file name that web shells use."),
  web("scanner", "Scanner user agent", "low", "/.env", "sqlmap", ["T1595.002"], ["reconnaissance"], "The user agent names a known scanning tool."),
  web("metadata", "Metadata service requested through the site", "high", "/proxy?url=http://169.254.169.254/latest", "169.254.169.254", ["T1552.005"], ["credential-access"], "A server-side request forgery attempt against the metadata address."),
  rule("ssh-brute", "SSH brute force", "correlation", "medium", "auth", ["T1110"], ["credential-access"], "Many failed logons from one address within five minutes.", "{ip} ({country}) failed {n} logons within 5 minutes", { cond: (e, n) => [c("count", "src_endpoint.ip", "gte", "5", n), c("base", "status", "equals", "Failure", e.status)], false_positives: ["A forgotten cron job with an old password."], references: ["https://attack.mitre.org/techniques/T1110/"] }),
  rule("spray", "Password spraying", "correlation", "high", "auth", ["T1110.003"], ["credential-access"], "One address tries few passwords on many users.", "{ip} ({country}) tried {n} users within 10 minutes", { cond: (e, n) => [c("value_count", "actor.user.name", "gte", "6", n)], false_positives: ["A shared gateway address."] }),
  rule("root-login", "Direct root logon", "sigma", "low", "auth", ["T1078", "T1021"], ["lateral-movement", "initial-access"], "Root logged on over the network.", "root logged on to bastion-01 from {ip} ({country})", { ok: true, cond: (e) => [c("selection", "user", "equals", "root", e.actor.user.name)] }),
  rule("listed", "Address on a threat list", "intel", "low", "web", ["T1595", "T1071"], ["reconnaissance", "command-and-control"], "The address is on the list known-scanners.", "{ip} ({country}) is on the list known-scanners", { sample: "/wp-login.php", cond: (e) => [c("list", "src_endpoint.ip", "in", "known-scanners", e.src_endpoint.ip)] }),
];
