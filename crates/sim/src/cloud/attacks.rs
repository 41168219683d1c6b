//! Attacks on the account: somebody has a user's access key and calls from a hosting network.

use super::company::{Company, Identity, Person};
use super::record::{Call, Session};
use super::work::{describe_instances, get_object, list_buckets, paced};
use crate::actor::{Attack, Moves};
use crate::address;
use crate::clock;
use crate::json::{Json, object};
use crate::random::Random;
use event::{Entity, EntityKind, Timestamp};

pub(crate) static ATTACKS: &[Attack] = &[
    Attack { name: "password_data", techniques: &["T1552"] },
    Attack { name: "secrets_burst", techniques: &["T1555.006"] },
    Attack { name: "privilege_escalation", techniques: &["T1098.003", "T1078.004"] },
    Attack { name: "backdoor_user", techniques: &["T1136.003", "T1098.001"] },
    Attack { name: "backdoor_trust", techniques: &["T1098.003"] },
    Attack { name: "trail_tampering", techniques: &["T1562.008"] },
    Attack { name: "public_bucket", techniques: &["T1530", "T1567"] },
    Attack { name: "snapshot_share", techniques: &["T1537"] },
    Attack { name: "object_burst", techniques: &["T1530"] },
    Attack { name: "destruction", techniques: &["T1485", "T1490"] },
    Attack { name: "console_brute_force", techniques: &["T1110.001", "T1078.004"] },
    Attack { name: "root_takeover", techniques: &["T1078.004", "T1098.001"] },
    Attack { name: "discovery", techniques: &["T1580", "T1087.004", "T1526"] },
];

const AGENTS: [&str; 5] = [
    "aws-cli/2.22.35 md/awscrt#0.23.4 ua/2.0 os/linux#6.12.25-amd64 md/arch#x86_64 lang/python#3.12.6 md/pyimpl#CPython md/distrib#kali.2025",
    "aws-cli/1.42.60 md/Botocore#1.40.60 ua/2.1 os/linux#6.6.87.2-microsoft-standard-WSL2 md/arch#x86_64 lang/python#3.10.12",
    "Boto3/1.34.100 md/Botocore#1.34.100 ua/2.0 os/linux#5.15.0-91-generic md/arch#x86_64 lang/python#3.10.12 md/pyimpl#CPython",
    "python-requests/2.32.3",
    "S3 Browser/12.5.1 (https://s3browser.com)",
];
const BROWSER: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Safari/537.36";

/// The attack at this place of [`ATTACKS`].
pub(crate) fn attack(index: usize, time: Timestamp, company: &Company, random: &mut Random) -> (Session, Moves<Call>, Entity) {
    let victim = company.key_owner(random);
    let entity = Entity::new(EntityKind::User, victim.name());
    let address = address::hostile(random).to_string();
    let name = ATTACKS[index].name;
    if name == "console_brute_force" {
        let mut session = Session::temporary(victim.identity.clone(), &address, BROWSER, time, random);
        session.from_console = true;
        // Guessing is about where it comes from, as with every login.
        let entity = Entity::new(EntityKind::Ip, address);
        return (session, brute_force(random), entity);
    }
    if name == "root_takeover" {
        let mut session = Session::temporary(Identity::Root, &address, BROWSER, time, random);
        session.from_console = true;
        return (session, root_takeover(time, random), Entity::new(EntityKind::User, "root"));
    }
    let (calls, pause_secs) = script(name, victim, time, company, random);
    let agent = random.word(&AGENTS);
    let mut session = Session::with_key(victim.identity.clone(), &address, agent, random);
    session.region = "eu-central-1";
    (session, paced(calls, pause_secs, random), entity)
}

/// The calls, and the mean pause between them.
fn script(name: &str, victim: &Person, time: Timestamp, company: &Company, random: &mut Random) -> (Vec<Call>, f64) {
    match name {
        "password_data" => (password_data(victim, company, random), 1.5),
        "secrets_burst" => (secrets_burst(company, random), 1.0),
        "privilege_escalation" => (privilege_escalation(victim, company), 15.0),
        "backdoor_user" => (backdoor_user(time, company, random), 12.0),
        "backdoor_trust" => (backdoor_trust(random), 15.0),
        "trail_tampering" => (trail_tampering(company, random), 10.0),
        "public_bucket" => (public_bucket(company), 12.0),
        "snapshot_share" => (snapshot_share(random), 15.0),
        "object_burst" => (object_burst(company, random), 1.2),
        "destruction" => (destruction(time, company, random), 5.0),
        _ => (discovery(victim, company, random), 2.0),
    }
}

fn password_data(victim: &Person, company: &Company, random: &mut Random) -> Vec<Call> {
    let who = arn(victim, company);
    let mut calls = vec![describe_instances()];
    for instance in company.instances.iter().take(random.between(12, 24) as usize) {
        let call = Call::read("ec2", "GetPasswordData", object! {"instanceId": instance});
        calls.push(if random.chance(0.6) { call.denied(&who) } else { call });
    }
    calls
}

fn arn(victim: &Person, company: &Company) -> String {
    super::work::arn(&victim.identity, &company.account)
}

fn secrets_burst(company: &Company, random: &mut Random) -> Vec<Call> {
    let mut calls = vec![Call::read("secretsmanager", "ListSecrets", object! {"maxResults": 100i64})];
    for secret in company.secrets.iter().take(random.between(15, 28) as usize) {
        calls.push(Call::read("secretsmanager", "GetSecretValue", object! {"secretId": secret}));
    }
    calls
}

fn privilege_escalation(victim: &Person, company: &Company) -> Vec<Call> {
    let policy = format!("arn:aws:iam::{}:policy/developer-baseline", company.account);
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let version = object! {"policyVersion": object! {"versionId": "v7", "isDefaultVersion": true}};
    let create = object! {"policyArn": &policy, "policyDocument": document, "setAsDefault": true};
    let user = victim.name();
    vec![
        Call::read("sts", "GetCallerIdentity", Json::null()),
        Call::read("iam", "ListAttachedUserPolicies", object! {"userName": user}),
        Call::read("iam", "ListPolicyVersions", object! {"policyArn": &policy}),
        Call::write("iam", "CreatePolicyVersion", create, version),
        attach_administrator(user),
    ]
}

fn attach_administrator(user: &str) -> Call {
    let request = object! {"userName": user, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"};
    Call::write("iam", "AttachUserPolicy", request, Json::null())
}

fn backdoor_user(time: Timestamp, company: &Company, random: &mut Random) -> Vec<Call> {
    let user = random.word(&["svc-support", "aws-sync", "backup-admin", "helpdesk-01", "cloudwatch-agent"]);
    let created = clock::iam(time);
    let arn = format!("arn:aws:iam::{}:user/{user}", company.account);
    let made = object! {"user": object! {
        "path": "/", "userName": user, "userId": random.aws_id("AIDA", 17), "arn": arn, "createDate": &created,
    }};
    let key = object! {"accessKey": object! {
        "userName": user, "accessKeyId": random.aws_id("AKIA", 16), "status": "Active", "createDate": &created,
    }};
    let profile = object! {"loginProfile": object! {"userName": user, "createDate": &created, "passwordResetRequired": false}};
    let login = object! {"userName": user, "passwordResetRequired": false};
    vec![
        Call::read("iam", "ListUsers", Json::null()),
        Call::write("iam", "CreateUser", object! {"userName": user}, made),
        attach_administrator(user),
        Call::write("iam", "CreateAccessKey", object! {"userName": user}, key),
        Call::write("iam", "CreateLoginProfile", login, profile),
    ]
}

fn backdoor_trust(random: &mut Random) -> Vec<Call> {
    let role = random.word(&["terraform-apply", "nightly-backup", "datadog-integration"]);
    let outside = random.digits(12);
    let document = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{outside}:root"}},"Action":"sts:AssumeRole"}}]}}"#
    );
    vec![
        Call::read("iam", "ListRoles", Json::null()),
        Call::read("iam", "GetRole", object! {"roleName": role}),
        Call::write("iam", "UpdateAssumeRolePolicy", object! {"roleName": role, "policyDocument": document}, Json::null()),
    ]
}

fn trail_tampering(company: &Company, random: &mut Random) -> Vec<Call> {
    let trail = format!("arn:aws:cloudtrail:eu-central-1:{}:trail/org-trail", company.account);
    let name = object! {"name": &trail};
    let selectors = object! {
        "trailName": &trail,
        "eventSelectors": Json::list([object! {"readWriteType": "ReadOnly", "includeManagementEvents": false, "dataResources": Json::list([])}]),
    };
    vec![
        Call::read("cloudtrail", "DescribeTrails", object! {}),
        Call::read("cloudtrail", "GetTrailStatus", name.clone()),
        Call::write("cloudtrail", "PutEventSelectors", selectors.clone(), selectors),
        Call::write("cloudtrail", "StopLogging", name.clone(), Json::null()),
        Call::write("cloudtrail", "DeleteTrail", name, Json::null()),
        Call::write("guardduty", "DeleteDetector", object! {"detectorId": random.hex(32)}, Json::null()),
        Call::write(
            "ec2",
            "DeleteFlowLogs",
            object! {"DeleteFlowLogsRequest": object! {"FlowLogId": object! {"tag": 1i64, "content": format!("fl-0{}", random.hex(16))}}},
            object! {"DeleteFlowLogsResponse": object! {"unsuccessful": ""}},
        ),
    ]
}

fn public_bucket(company: &Company) -> Vec<Call> {
    let bucket = &company.buckets[1];
    let statement = object! {
        "Sid": "Public", "Effect": "Allow", "Principal": "*", "Action": Json::list([Json("\"s3:GetObject\"".into())]),
        "Resource": format!("arn:aws:s3:::{bucket}/*"),
    };
    let policy = object! {"Version": "2012-10-17", "Statement": Json::list([statement])};
    let open = object! {"RestrictPublicBuckets": false, "BlockPublicPolicy": false, "BlockPublicAcls": false, "IgnorePublicAcls": false};
    vec![
        list_buckets(),
        Call::read("s3", "GetBucketAcl", object! {"bucketName": bucket, "acl": ""}),
        Call::read("s3", "GetBucketPolicy", object! {"bucketName": bucket, "policy": ""}),
        Call::write(
            "s3",
            "PutBucketPublicAccessBlock",
            object! {"bucketName": bucket, "publicAccessBlock": "", "PublicAccessBlockConfiguration": open},
            Json::null(),
        ),
        Call::write("s3", "PutBucketPolicy", object! {"bucketName": bucket, "bucketPolicy": policy, "policy": ""}, Json::null()),
    ]
}

fn snapshot_share(random: &mut Random) -> Vec<Call> {
    let snapshot = format!("snap-0{}", random.hex(16));
    let user = random.digits(12);
    let create = object! {"volumeId": format!("vol-0{}", random.hex(16)), "description": ""};
    let share = object! {
        "snapshotId": &snapshot,
        "createVolumePermission": object! {"add": object! {"items": Json::list([object! {"userId": user}])}},
        "attributeType": "CREATE_VOLUME_PERMISSION",
    };
    vec![
        Call::read("ec2", "DescribeVolumes", object! {"volumeSet": object! {}, "filterSet": object! {}}),
        Call::read("ec2", "DescribeSnapshots", object! {"ownersSet": object! {"items": Json::list([object! {"owner": "self"}])}}),
        Call::write("ec2", "CreateSnapshot", create, object! {"snapshotId": &snapshot, "status": "pending"}),
        Call::write("ec2", "ModifySnapshotAttribute", share, object! {"requestId": random.uuid(), "_return": true}),
    ]
}

fn object_burst(company: &Company, random: &mut Random) -> Vec<Call> {
    let bucket = &company.buckets[1];
    let mut calls = vec![list_buckets(), Call::read("s3", "ListObjects", object! {"bucketName": bucket, "list-type": "2"})];
    for _ in 0..random.between(25, 45) {
        let key = format!("exports/2026/customers-{:04}.csv.gz", random.below(3000));
        calls.push(get_object(bucket, &key, company));
    }
    calls
}

fn destruction(time: Timestamp, company: &Company, random: &mut Random) -> Vec<Call> {
    let mut calls = vec![list_buckets(), describe_instances()];
    for instance in company.instances.iter().take(4) {
        let request = object! {"instancesSet": object! {"items": Json::list([object! {"instanceId": instance}])}};
        let state = object! {"instanceId": instance, "currentState": object! {"code": 32i64, "name": "shutting-down"}};
        let response = object! {"instancesSet": object! {"items": Json::list([state])}};
        calls.push(Call::write("ec2", "TerminateInstances", request, response));
    }
    for bucket in company.buckets.iter().take(3) {
        calls.push(Call::write("s3", "DeleteBucket", object! {"bucketName": bucket}, Json::null()));
    }
    for key in company.keys.iter().take(random.between(2, 4) as usize) {
        let response = object! {"keyId": key, "keyState": "PendingDeletion", "deletionDate": clock::iam(time.plus_secs(7 * 86_400))};
        calls.push(Call::write("kms", "ScheduleKeyDeletion", object! {"keyId": key, "pendingWindowInDays": 7i64}, response));
    }
    calls
}

fn brute_force(random: &mut Random) -> Moves<Call> {
    let mut calls: Vec<Call> = (0..random.between(8, 16)).map(|_| Call::sign_in(false, false)).collect();
    calls.push(Call::sign_in(true, false));
    paced(calls, 6.0, random)
}

/// The account's owner signs in without a second factor, which nobody here ever does, and makes a key.
fn root_takeover(time: Timestamp, random: &mut Random) -> Moves<Call> {
    let mut calls: Vec<Call> = (0..random.between(0, 3)).map(|_| Call::sign_in(false, false)).collect();
    let key = object! {"accessKey": object! {
        "accessKeyId": random.aws_id("AKIA", 16), "status": "Active", "createDate": clock::iam(time),
    }};
    calls.push(Call::sign_in(true, false));
    calls.push(Call::read("iam", "GetAccountSummary", Json::null()));
    calls.push(Call::write("iam", "CreateAccessKey", Json::null(), key));
    paced(calls, 15.0, random)
}

fn discovery(victim: &Person, company: &Company, random: &mut Random) -> Vec<Call> {
    let who = arn(victim, company);
    let mut calls = vec![
        Call::read("iam", "ListUsers", Json::null()),
        Call::read("iam", "ListRoles", Json::null()),
        Call::read("iam", "ListGroups", Json::null()),
        Call::read("iam", "GetAccountAuthorizationDetails", Json::null()),
        Call::read("iam", "ListAccessKeys", Json::null()),
        Call::read("iam", "GetAccountPasswordPolicy", Json::null()),
        Call::read("ec2", "DescribeSecurityGroups", object! {"securityGroupSet": object! {}, "filterSet": object! {}}),
        Call::read("ec2", "DescribeVpcs", object! {"vpcSet": object! {}, "filterSet": object! {}}),
        Call::read("rds", "DescribeDBInstances", Json::null()),
        Call::read("lambda", "ListFunctions20150331", Json::null()),
        Call::read("organizations", "DescribeOrganization", Json::null()),
        Call::read("secretsmanager", "ListSecrets", Json::null()),
        Call::read("ses", "GetSendQuota", Json::null()),
        describe_instances(),
        list_buckets(),
    ];
    random.shuffle(&mut calls);
    let mut all = vec![Call::read("sts", "GetCallerIdentity", Json::null())];
    all.extend(calls.into_iter().map(|call| if random.chance(0.45) { call.denied(&who) } else { call }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attack_has_its_calls() {
        let mut random = Random::seeded(3);
        let company = Company::new(&mut random);
        for (index, kind) in ATTACKS.iter().enumerate() {
            let (session, calls, entity) = attack(index, Timestamp::from_secs(1_790_000_000), &company, &mut random);
            assert!((3..=60).contains(&calls.len()), "{}: {}", kind.name, calls.len());
            assert_eq!(entity.kind == EntityKind::Ip, kind.name == "console_brute_force");
            assert_eq!(matches!(session.identity, Identity::Root), kind.name == "root_takeover");
        }
    }
}
