#!/usr/bin/env python3
"""Writes the cases of content/rules/behaviour: what needs days of history or many events is not typed by hand.

Run without arguments; it writes content/cases/<stem>/{fires,quiet}.* and nothing else. The output is committed
and is the same at every run: the seed is fixed. Everything in it is invented (documentation addresses, the
account 123456789012).
"""

import json
import pathlib
import random
from datetime import datetime, timedelta

CASES = pathlib.Path(__file__).resolve().parent.parent / "content" / "cases"
ACCOUNT = "123456789012"
MONDAY = datetime(2026, 11, 2)


def write(stem, kind, extension, lines):
    folder = CASES / stem
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}.{extension}").write_text("".join(line + "\n" for line in lines))


def iso(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def at(text):
    return datetime.strptime(f"2026-11-19 {text}", "%Y-%m-%d %H:%M:%S")


# CloudTrail

counter = 0


def user(name):
    return {
        "type": "IAMUser",
        "principalId": f"AIDAEXAMPLE{name.upper()}",
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "accountId": ACCOUNT,
        "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "userName": name,
    }


def session(role, name, key):
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLE:{name}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}",
        "accountId": ACCOUNT,
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLE",
                "arn": f"arn:aws:iam::{ACCOUNT}:role/{role}",
                "accountId": ACCOUNT,
                "userName": role,
            },
            "attributes": {"creationDate": "2026-11-19T09:00:00Z", "mfaAuthenticated": "false"},
        },
    }


def call(time, who, name, service="iam", request=None, response=None, error=None, ip="198.51.100.23"):
    global counter
    counter += 1
    event = {
        "eventVersion": "1.10",
        "userIdentity": who,
        "eventTime": iso(time),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": ip,
        "userAgent": "aws-cli/2.17.9 Python/3.11.9 Linux/6.1",
        "requestParameters": request,
        "responseElements": response,
        "eventID": f"22222222-0000-4000-8000-{counter:012}",
        "readOnly": name.startswith(("List", "Get", "Describe")),
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT,
    }
    if error:
        event["errorCode"] = error
    return json.dumps(event, separators=(",", ":"))


def assume(time, who, to):
    role, name = to["arn"].rsplit("/", 2)[-2:]
    response = {
        "credentials": {"accessKeyId": to["accessKeyId"], "expiration": "Nov 19, 2026, 11:00:00 AM"},
        "assumedRoleUser": {"assumedRoleId": to["principalId"], "arn": to["arn"]},
    }
    request = {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/{role}", "roleSessionName": name}
    return call(time, who, "AssumeRole", "sts", request, response)


def sign_in(time, name, ok, ip="198.51.100.23"):
    who = {k: v for k, v in user(name).items() if k != "accessKeyId"}
    return call(time, who, "ConsoleLogin", "signin", None, {"ConsoleLogin": "Success" if ok else "Failure"}, ip=ip)


def chains():
    alice, bob = user("alice"), user("bob")
    role_a, role_b = session("Audit", "cli-1", "ASIAEXAMPLEFIRST0001"), session("Deploy", "cli-2", "ASIAEXAMPLESECOND002")
    # Each step in another role: only the chain of AssumeRole tells that it is one person.
    write("aws_chain_to_exfiltration", "fires", "ndjson", [
        call(at("09:00:00"), alice, "GetAccountAuthorizationDetails"),
        assume(at("09:05:00"), alice, role_a),
        call(at("09:20:00"), role_a, "AttachRolePolicy", request={"roleName": "Audit", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        assume(at("09:30:00"), role_a, role_b),
        call(at("10:10:00"), role_b, "CreateAccessKey", request={"userName": "backup"}),
        call(at("11:45:00"), role_b, "ModifySnapshotAttribute", "ec2", {"snapshotId": "snap-1", "attributeType": "CREATE_VOLUME_PERMISSION"}),
    ])
    # The same steps by two people, and by one in another order.
    write("aws_chain_to_exfiltration", "quiet", "ndjson", [
        call(at("09:00:00"), bob, "GetAccountAuthorizationDetails"),
        call(at("09:05:00"), bob, "AttachRolePolicy", request={"roleName": "Audit"}),
        call(at("09:10:00"), alice, "CreateAccessKey", request={"userName": "alice"}),
        call(at("09:20:00"), alice, "PutBucketPolicy", "s3", {"bucketName": "web-assets"}),
        call(at("10:00:00"), alice, "ListUsers"),
        call(at("10:10:00"), alice, "AttachUserPolicy", request={"userName": "carol"}, error="AccessDenied"),
    ])
    write("aws_chain_secrets_to_lateral", "fires", "ndjson", [
        call(at("09:00:00"), alice, "DescribeInstances", "ec2"),
        assume(at("09:02:00"), alice, role_a),
        call(at("09:05:00"), role_a, "GetSecretValue", "secretsmanager", {"secretId": "prod/db"}),
        call(at("09:25:00"), role_a, "SendCommand", "ssm", {"documentName": "AWS-RunShellScript"}),
    ])
    write("aws_chain_secrets_to_lateral", "quiet", "ndjson", [
        call(at("09:00:00"), alice, "GetSecretValue", "secretsmanager", {"secretId": "prod/db"}),
        call(at("09:05:00"), alice, "SendCommand", "ssm", {"documentName": "AWS-RunShellScript"}),
        call(at("09:10:00"), bob, "DescribeInstances", "ec2"),
        call(at("11:30:00"), bob, "GetSecretValue", "secretsmanager", {"secretId": "prod/db"}),
    ])
    write("aws_chain_blinded_then_damage", "fires", "ndjson", [
        call(at("09:00:00"), alice, "StopConfigurationRecorder", "config", {"configurationRecorderName": "default"}),
        assume(at("09:02:00"), alice, role_a),
        call(at("09:40:00"), role_a, "DeleteDBInstance", "rds", {"dBInstanceIdentifier": "orders"}),
    ])
    write("aws_chain_blinded_then_damage", "quiet", "ndjson", [
        call(at("09:00:00"), alice, "DeleteDBInstance", "rds", {"dBInstanceIdentifier": "orders-old"}),
        call(at("09:10:00"), alice, "DeleteLogGroup", "logs", {"logGroupName": "/aws/rds/orders-old"}),
        call(at("09:20:00"), bob, "DeleteSnapshot", "ec2", {"snapshotId": "snap-1"}),
    ])


def console():
    write("aws_console_success_after_failures", "fires", "ndjson", [
        *(sign_in(at(f"09:0{minute}:00"), "alice", False) for minute in range(4)),
        sign_in(at("09:12:00"), "alice", True),
    ])
    write("aws_console_success_after_failures", "quiet", "ndjson", [
        sign_in(at("09:00:00"), "alice", False),
        sign_in(at("09:01:00"), "alice", False),
        sign_in(at("09:02:00"), "alice", True),
        *(sign_in(at(f"10:0{minute}:00"), "bob", False) for minute in range(4)),
        sign_in(at("10:10:00"), "carol", True),
    ])


def habit(draw, weeks, hours):
    """When somebody is active who works Monday to Friday."""
    for day in range(7 * weeks):
        if day % 7 < 5:
            for hour in hours:
                for _ in range(draw.randrange(3)):
                    yield MONDAY + timedelta(days=day, hours=hour, seconds=draw.randrange(3600))


def off_hours():
    draw = random.Random(1)
    days = sorted(habit(draw, 2, range(7, 17)))
    work = [call(time, user("alice"), "DescribeInstances", "ec2") for time in days]
    night = MONDAY + timedelta(days=15, hours=1, minutes=42)
    write("aws_off_hours", "fires", "ndjson", work + [call(night, user("alice"), "GetSecretValue", "secretsmanager")])
    # Another person works while it is night in Europe; and the first stays an hour longer.
    tokyo = sorted(habit(draw, 2, (22, 23, 0, 1, 2, 3, 4, 5, 6)))
    late = MONDAY + timedelta(days=14, hours=18, minutes=10)
    write("aws_off_hours", "quiet", "ndjson", [
        *work,
        *(call(time, user("tomoko"), "DescribeInstances", "ec2") for time in tokyo),
        call(late, user("alice"), "GetSecretValue", "secretsmanager"),
        call(night, user("tomoko"), "GetSecretValue", "secretsmanager"),
    ])


# SSH


def ssh(time, text, host="bastion1", process="sshd[2211]"):
    return f"{time.strftime('%b')} {time.day:2} {time.strftime('%H:%M:%S')} {host} {process}: {text}"


def accepted(time, name, ip, host="bastion1"):
    return ssh(time, f"Accepted publickey for {name} from {ip} port 52100 ssh2: ED25519 SHA256:abc", host)


def linux():
    draw = random.Random(2)
    days = sorted(habit(draw, 2, range(7, 17)))
    night = MONDAY + timedelta(days=15, hours=1, minutes=42)
    work = [accepted(time, "alice", "192.0.2.10") for time in days]
    write("ssh_off_hours", "fires", "log", work + [accepted(night, "alice", "203.0.113.66")])
    # A job that has always run at night.
    jobs = [MONDAY + timedelta(days=day, hours=hour, minutes=41) for day in range(14) for hour in (0, 1, 2, 3, 4)]
    write("ssh_off_hours", "quiet", "log", [
        *work,
        *(accepted(time, "backup", "192.0.2.20") for time in jobs),
        accepted(night, "backup", "192.0.2.20"),
    ])
    guesses = [ssh(at(f"09:00:{second:02}"), f"Failed password for root from 203.0.113.66 port 4{second:04} ssh2") for second in range(0, 50, 10)]
    root = ssh(at("09:06:00"), "   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/bash", process="sudo")
    created = ssh(at("09:09:00"), "new user: name=helper, UID=1002, GID=1002, home=/home/helper, shell=/bin/bash, from=/dev/pts/0", process="useradd[2300]")
    write("linux_chain_guessed_to_backdoor", "fires", "log", [*guesses, accepted(at("09:02:00"), "alice", "203.0.113.66"), root, created])
    # The same, but on a host where nobody guessed, and a user made before anybody logged in.
    other = [line.replace("bastion1", "web1") for line in (accepted(at("09:02:00"), "alice", "192.0.2.10"), root, created)]
    write("linux_chain_guessed_to_backdoor", "quiet", "log", [created.replace("09:09:00", "08:50:00"), *guesses, *other])


# Web


def access(time, ip, request, status, agent="Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"):
    return f'{ip} - - [{time.strftime("%d/%b/%Y:%H:%M:%S")} +0000] "{request} HTTP/1.1" {status} 512 "-" "{agent}"'


def web():
    start = at("09:00:00")
    pages = ["/", "/category/shoes", "/cart", "/product/1001", "/product/1002", "/search"]
    draw = random.Random(3)
    words = ["admin", "backup", "old", "test", "dev", "api", "console", "db", "tmp", "export", "stage", "portal"]
    guesses = [f"/{a}-{b}" for a in words for b in words if a != b][:60]
    scan = [access(start + timedelta(seconds=3 * i), "203.0.113.66", f"GET {path}", 404) for i, path in enumerate(guesses)]
    write("web_request_rate", "fires", "log", scan)
    # A reader who opens many pages, a crawler with a dead link here and there, and a monitor that is always there.
    reader = [access(start + timedelta(seconds=4 * i), "198.51.100.7", f"GET /product/{1000 + i}", 200) for i in range(80)]
    crawler = [
        access(start + timedelta(seconds=5 * i), "192.0.2.50", f"GET /product/{2000 + i}", 404 if i % 10 == 0 else 200) for i in range(80)
    ]
    monitor = [access(start + timedelta(seconds=2 * i), "192.0.2.9", f"GET {draw.choice(pages)}", 200) for i in range(200)]
    write("web_request_rate", "quiet", "log", sorted(reader + crawler + monitor, key=lambda line: line.split("[")[1][:20]))
    def failed(i):
        return access(start + timedelta(seconds=10 * i), f"198.51.100.{i + 1}", "POST /login", 401)

    write("web_login_stuffing", "fires", "log", [failed(i) for i in range(36)])
    same = [access(start + timedelta(seconds=90 * i), f"198.51.100.{i % 5 + 1}", "POST /login", 401) for i in range(36)]
    write("web_login_stuffing", "quiet", "log", same)
    tries = [access(start + timedelta(seconds=5 * i), "203.0.113.66", "POST /login", 401) for i in range(12)]
    success = access(start + timedelta(seconds=90), "203.0.113.66", "POST /login", 302)
    write("web_login_guessed", "fires", "log", [*tries, success])
    write("web_login_guessed", "quiet", "log", [*tries, success.replace("203.0.113.66", "198.51.100.7"), *(tries[i].replace("203.0.113.66", "198.51.100.8") for i in range(3)), success.replace("203.0.113.66", "198.51.100.8")])


# Applications


def app(time, message, code, **more):
    return json.dumps({"service": "shop", "status_code": code, "message": message, "timestamp": iso(time), **more}, separators=(",", ":"))


def geo(lat, lon, country, city):
    return {"geo": {"location": {"lat": lat, "lon": lon}, "country_iso_code": country, "city_name": city}}


BERLIN = geo(52.52, 13.405, "DE", "Berlin")
HAMBURG = geo(53.551, 9.994, "DE", "Hamburg")
LAGOS = geo(6.455, 3.394, "NG", "Lagos")


def applications():
    def login(time, who, ip, where):
        return app(time, f"login succeeded for {who}", 200, user=who, source={"ip": ip, **where})

    write("impossible_travel", "fires", "ndjson", [
        login(at("09:00:00"), "alice", "192.0.2.10", BERLIN),
        login(at("09:22:00"), "alice", "203.0.113.66", LAGOS),
    ])
    # A flight, a train ride that GeoIP makes too fast by little, and two people.
    write("impossible_travel", "quiet", "ndjson", [
        login(at("08:00:00"), "alice", "192.0.2.10", BERLIN),
        login(at("09:00:00"), "bob", "192.0.2.11", BERLIN),
        login(at("09:10:00"), "bob", "192.0.2.12", HAMBURG),
        login(at("15:00:00"), "alice", "203.0.113.66", LAGOS),
        login(at("15:01:00"), "carol", "192.0.2.13", BERLIN),
    ])

    def failed(second, who, ip):
        return app(at("09:00:00") + timedelta(seconds=second), f"login failed for {who}", 401, user=who, source_ip=ip)

    write("app_credential_stuffing", "fires", "ndjson", [failed(20 * i, f"user{i}", "203.0.113.66") for i in range(10)])
    write("app_credential_stuffing", "quiet", "ndjson", [
        *(failed(20 * i, f"user{i % 4}", "198.51.100.7") for i in range(12)),
        *(failed(20 * i + 5, f"guest{i}", f"192.0.2.{i + 1}") for i in range(10)),
        *(failed(20 * i + 7, "alice", f"192.0.2.{i % 3 + 1}") for i in range(10)),
    ])


if __name__ == "__main__":
    chains()
    console()
    off_hours()
    linux()
    web()
    applications()
