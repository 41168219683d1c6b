// What a reader pastes to send the first data. The key is theirs to fill in: a page must not hold one.
const origin = () => (typeof location === "undefined" ? "http://127.0.0.1:8440" : location.origin);
const KEY = "erne_YOUR_KEY";

export interface SendSnippet {
  id: string;
  title: string;
  about: string;
  text: string;
}

export function sendSnippets(key: string = KEY): SendSnippet[] {
  const auth = `-H "Authorization: Bearer ${key}"`;
  return [
    {
      id: "app",
      title: "Application log",
      about: "One JSON log, an array of them, or one a line.",
      text: `curl ${auth} -H "Content-Type: application/json" \\\n  -d '{"service":"checkout","status_code":500,"message":"payment failed","timestamp":"${new Date().toISOString().slice(0, 19)}Z"}' \\\n  ${origin()}/api/logs`,
    },
    {
      id: "nginx",
      title: "nginx or Apache access log",
      about: "Combined or JSON format; the format is detected.",
      text: `curl ${auth} --data-binary @/var/log/nginx/access.log \\\n  "${origin()}/api/v1/ingest?source=nginx"`,
    },
    {
      id: "auth",
      title: "auth.log (sshd, sudo, PAM)",
      about: "Classic or RFC 5424 syslog lines.",
      text: `curl ${auth} --data-binary @/var/log/auth.log \\\n  "${origin()}/api/v1/ingest?source=$(hostname)"`,
    },
    {
      id: "cloudtrail",
      title: "AWS CloudTrail",
      about: "The files as CloudTrail writes them to S3, still compressed.",
      text: `curl ${auth} -H "Content-Encoding: gzip" \\\n  --data-binary @111122223333_CloudTrail_eu-central-1.json.gz \\\n  "${origin()}/api/v1/ingest?source=cloudtrail"`,
    },
  ];
}
