//! What the company's people and machines do all day.

use super::company::{Company, Identity, Person, Team};
use super::record::{Call, Session, Sort, object_resources};
use crate::actor::Moves;
use crate::json::{Json, object};
use crate::random::Random;
use event::Timestamp;

/// How often a call is refused for want of permission, or for coming too fast: nobody's fault.
const DENIED_SHARE: f64 = 0.008;
const THROTTLED_SHARE: f64 = 0.006;
/// How often AWS's own services act on the account.
const SERVICE_SHARE: f64 = 0.18;
/// How often somebody works from their second address.
const SECOND_ADDRESS_SHARE: f64 = 0.15;
/// How often a stretch of work in the console begins with a sign-in, rather than in an open session.
const SIGN_IN_SHARE: f64 = 0.25;
/// How often a password is mistyped once.
const TYPO_SHARE: f64 = 0.05;

/// Someone's stretch of work beginning now.
pub(crate) fn organic(time: Timestamp, company: &Company, random: &mut Random) -> (Session, Moves<Call>) {
    if random.chance(SERVICE_SHARE) {
        return service(company, time, random);
    }
    let person = company.at_work(time, random);
    let mut calls = Vec::new();
    if person.console && matches!(person.identity, Identity::User { .. }) && random.chance(SIGN_IN_SHARE) {
        if random.chance(TYPO_SHARE) {
            calls.push(Call::sign_in(false, false));
        }
        calls.push(Call::sign_in(true, true));
    }
    for _ in 0..random.between(2, 6) {
        task(person, company, random, &mut calls);
    }
    let who = arn(&person.identity, &company.account);
    let calls = calls.into_iter().map(|call| mishap(call, &who, random)).collect::<Vec<_>>();
    let pause_secs = if person.hours.is_some() { 6.0 } else { 2.0 };
    (session(person, time, random), paced(calls, pause_secs, random))
}

fn session(person: &Person, time: Timestamp, random: &mut Random) -> Session {
    let address = &person.addresses[usize::from(random.chance(SECOND_ADDRESS_SHARE))];
    let is_user = matches!(person.identity, Identity::User { .. });
    let mut session = if is_user && !person.console {
        Session::with_key(person.identity.clone(), address, person.agent, random)
    } else {
        Session::temporary(person.identity.clone(), address, person.agent, time, random)
    };
    session.from_console = person.console;
    session.mfa = person.console && is_user;
    session
}

/// Spreads calls out; consecutive reads of one page come close together.
pub(crate) fn paced(calls: Vec<Call>, mean_secs: f64, random: &mut Random) -> Moves<Call> {
    let pace = |call: Call| {
        let mean_secs = if random.chance(0.4) { mean_secs / 20.0 } else { mean_secs };
        (random.wait_micros(mean_secs), call)
    };
    calls.into_iter().map(pace).collect()
}

fn mishap(call: Call, who: &str, random: &mut Random) -> Call {
    match call.sort {
        Sort::SignIn { .. } | Sort::DataRead => call,
        _ if random.chance(DENIED_SHARE) => call.denied(who),
        _ if random.chance(THROTTLED_SHARE) => call.throttled(),
        _ => call,
    }
}

pub(crate) fn arn(identity: &Identity, account: &str) -> String {
    match identity {
        Identity::User { name, .. } => format!("arn:aws:iam::{account}:user/{name}"),
        Identity::Role { role, session, .. } => format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
        Identity::Root | Identity::Service(_) => format!("arn:aws:iam::{account}:root"),
    }
}

fn task(person: &Person, company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    match person.team {
        Team::Developer => develop(company, random, calls),
        Team::Operations => operate(company, random, calls),
        Team::Data => analyse(company, random, calls),
        Team::Security => audit(company, random, calls),
        Team::Admin => administrate(person, company, random, calls),
        Team::Deployment => deploy(company, random, calls),
        Team::Cluster => run_cluster(company, random, calls),
        Team::Backup => back_up(company, random, calls),
        Team::Function => serve(company, random, calls),
        Team::Monitoring => monitor(random, calls),
    }
}

fn develop(company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    let function = random.word(&company.functions);
    match random.below(4) {
        0 => {
            let group = format!("/aws/lambda/{function}");
            calls.push(Call::read("logs", "DescribeLogGroups", object! {"logGroupNamePrefix": "/aws/lambda/"}));
            for _ in 0..random.between(1, 4) {
                let request = object! {"logGroupName": &group, "limit": 100i64, "interleaved": true};
                calls.push(Call::read("logs", "FilterLogEvents", request));
            }
        }
        1 => {
            calls.push(Call::read("lambda", "ListFunctions20150331", Json::null()));
            calls.push(Call::read("lambda", "GetFunction20150331v2", object! {"functionName": function}));
        }
        2 => {
            let request = object! {"functionName": function, "dryRun": false, "publish": false};
            let response = object! {
                "functionName": function, "runtime": "python3.13", "codeSize": random.between(20_000, 9_000_000),
                "version": "$LATEST", "state": "Active",
            };
            calls.push(Call::write("lambda", "UpdateFunctionCode20150331v2", request, response));
        }
        _ => {
            calls.push(Call::read("cloudformation", "DescribeStacks", Json::null()));
            calls.push(Call::read("ecr", "DescribeRepositories", object! {"maxResults": 100i64}));
        }
    }
}

fn operate(company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    let instance = random.pick(&company.instances).clone();
    match random.below(5) {
        0 => {
            calls.push(describe_instances());
            calls.push(Call::read("ec2", "DescribeInstanceStatus", object! {"filterSet": object! {}, "includeAllInstances": false}));
        }
        1 => {
            let set = object! {"items": Json::list([object! {"instanceId": &instance}])};
            calls.push(describe_instances());
            calls.push(Call::write("ec2", "StartInstances", object! {"instancesSet": &set}, object! {"instancesSet": &set}));
        }
        2 => {
            let request = object! {"volumeId": format!("vol-0{}", random.hex(16)), "description": "before upgrade"};
            let response = object! {"snapshotId": format!("snap-0{}", random.hex(16)), "status": "pending", "encrypted": true};
            calls.push(Call::read("ec2", "DescribeVolumes", object! {"volumeSet": object! {}, "filterSet": object! {}}));
            calls.push(Call::write("ec2", "CreateSnapshot", request, response));
        }
        3 => {
            calls.push(Call::read("monitoring", "DescribeAlarms", object! {"stateValue": "ALARM"}));
            calls.push(Call::read("elasticloadbalancing", "DescribeTargetHealth", object! {"targetGroupArn": target_group(company, random)}));
        }
        _ => {
            calls.push(Call::read("rds", "DescribeDBInstances", Json::null()));
            calls.push(Call::read("ec2", "DescribeSecurityGroups", object! {"securityGroupSet": object! {}, "filterSet": object! {}}));
        }
    }
}

pub(crate) fn describe_instances() -> Call {
    Call::read("ec2", "DescribeInstances", object! {"instancesSet": object! {}, "filterSet": object! {}})
}

fn target_group(company: &Company, random: &mut Random) -> String {
    let (account, id) = (&company.account, random.hex(16));
    format!("arn:aws:elasticloadbalancing:eu-central-1:{account}:targetgroup/shop-web/{id}")
}

fn analyse(company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    match random.below(3) {
        0 => {
            let output = format!("s3://{}/", company.buckets[3]);
            let request = object! {
                "queryString": "***OMITTED***",
                "workGroup": "primary",
                "resultConfiguration": object! {"outputLocation": output},
            };
            let id = random.uuid();
            calls.push(Call::write("athena", "StartQueryExecution", request, object! {"queryExecutionId": &id}));
            calls.push(Call::read("athena", "GetQueryExecution", object! {"queryExecutionId": &id}));
            calls.push(Call::read("athena", "GetQueryResults", object! {"queryExecutionId": &id, "maxResults": 1000i64}));
        }
        1 => {
            calls.push(Call::read("glue", "GetDatabases", Json::null()));
            calls.push(Call::read("glue", "GetTables", object! {"databaseName": "orders"}));
        }
        _ => {
            calls.push(list_buckets());
            for _ in 0..random.between(1, 3) {
                let key = format!("2026/{:02}/part-{:05}.parquet", random.between(1, 12), random.below(400));
                calls.push(get_object(&company.buckets[6], &key, company));
            }
        }
    }
}

pub(crate) fn list_buckets() -> Call {
    Call::read("s3", "ListBuckets", object! {"Host": "s3.eu-central-1.amazonaws.com"})
}

pub(crate) fn get_object(bucket: &str, key: &str, company: &Company) -> Call {
    let host = format!("{bucket}.s3.eu-central-1.amazonaws.com");
    let request = object! {"bucketName": bucket, "Host": host, "key": key};
    let mut call = Call::read("s3", "GetObject", request);
    call.sort = Sort::DataRead;
    call.resources = Some(object_resources(bucket, key, &company.account));
    call
}

fn audit(company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    let trail = format!("arn:aws:cloudtrail:eu-central-1:{}:trail/org-trail", company.account);
    match random.below(3) {
        0 => {
            calls.push(Call::read("cloudtrail", "DescribeTrails", object! {"includeShadowTrails": true}));
            calls.push(Call::read("cloudtrail", "GetTrailStatus", object! {"name": trail}));
            calls.push(Call::read("cloudtrail", "LookupEvents", object! {"maxResults": 50i64}));
        }
        1 => {
            calls.push(Call::read("iam", "GenerateCredentialReport", Json::null()));
            calls.push(Call::read("iam", "GetAccountSummary", Json::null()));
        }
        _ => {
            calls.push(Call::read("guardduty", "ListDetectors", Json::null()));
            calls.push(Call::read("securityhub", "GetFindings", object! {"MaxResults": 100i64}));
        }
    }
}

fn administrate(person: &Person, company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    match random.below(6) {
        0 => calls.push(Call::read("iam", "ListUsers", object! {"maxItems": 100i64})),
        1 => calls.push(Call::read("ce", "GetCostAndUsage", object! {"granularity": "DAILY", "metrics": Json::list([])})),
        2 => {
            calls.push(Call::read("iam", "ListAccessKeys", object! {"userName": person.name()}));
        }
        3 => calls.push(Call::read("iam", "GetAccountAuthorizationDetails", object! {"maxItems": 100i64})),
        4 => {
            let request = object! {"keyId": &company.keys[0]};
            calls.push(Call::read("kms", "DescribeKey", request));
            calls.push(Call::read("kms", "ListAliases", object! {"limit": 100i64}));
        }
        _ => {
            let bucket = random.pick(&company.buckets);
            calls.push(Call::read("s3", "GetBucketPolicy", object! {"bucketName": bucket, "policy": ""}));
            calls.push(Call::read("s3", "GetBucketPublicAccessBlock", object! {"bucketName": bucket, "publicAccessBlock": ""}));
        }
    }
}

fn deploy(company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    let account = &company.account;
    calls.push(Call::read("sts", "GetCallerIdentity", Json::null()));
    match random.below(3) {
        0 => {
            let service = random.word(&["checkout", "catalog", "search", "storefront"]);
            let task = format!("arn:aws:ecs:eu-central-1:{account}:task-definition/{service}:{}", random.between(80, 400));
            let request = object! {"cluster": "prod", "service": service, "taskDefinition": &task};
            calls.push(Call::write("ecs", "RegisterTaskDefinition", object! {"family": service}, object! {"taskDefinitionArn": &task}));
            calls.push(Call::write("ecs", "UpdateService", request, object! {"service": object! {"status": "ACTIVE"}}));
            calls.push(Call::read("ecs", "DescribeServices", object! {"cluster": "prod", "services": Json::list([])}));
        }
        1 => {
            for _ in 0..random.between(2, 6) {
                let role = random.word(&["order-processor-lambda", "thumbnail-lambda", "eks-node-group-prod"]);
                calls.push(Call::read("iam", "GetRole", object! {"roleName": role}));
                calls.push(Call::read("iam", "ListAttachedRolePolicies", object! {"roleName": role}));
            }
        }
        _ => {
            let request = object! {"bucketName": &company.buckets[2], "key": format!("static/js/main.{}.js", random.hex(8))};
            calls.push(Call::write("s3", "PutObject", request, object! {"x-amz-server-side-encryption": "AES256"}));
            calls.push(Call::write("cloudfront", "CreateInvalidation", object! {"distributionId": "E2QWRUHAPOMQZL"}, Json::null()));
        }
    }
}

fn run_cluster(company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    for _ in 0..random.between(1, 4) {
        calls.push(match random.below(4) {
            0 => describe_instances(),
            1 => Call::read("autoscaling", "DescribeAutoScalingGroups", object! {"maxRecords": 100i64}),
            2 => Call::read("ecr", "GetAuthorizationToken", Json::null()),
            _ => {
                let request = object! {"repositoryName": random.word(&["checkout", "catalog"]), "registryId": &company.account};
                Call::read("ecr", "BatchGetImage", request)
            }
        });
    }
}

fn back_up(company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    let request = object! {"volumeId": format!("vol-0{}", random.hex(16)), "description": "nightly"};
    let response = object! {"snapshotId": format!("snap-0{}", random.hex(16)), "status": "pending", "encrypted": true};
    calls.push(Call::read("ec2", "DescribeSnapshots", object! {"ownersSet": object! {"items": Json::list([object! {"owner": "self"}])}}));
    calls.push(Call::write("ec2", "CreateSnapshot", request, response));
    calls.push(Call::write("kms", "GenerateDataKey", object! {"keyId": &company.keys[1], "keySpec": "AES_256"}, Json::null()));
}

fn serve(company: &Company, random: &mut Random, calls: &mut Vec<Call>) {
    match random.below(3) {
        // A function reads its own secret when it starts: the near miss of a burst over all secrets.
        0 => {
            let secret = &company.secrets[random.below(4) as usize];
            calls.push(Call::read("secretsmanager", "GetSecretValue", object! {"secretId": secret}));
        }
        1 => {
            let key = format!("incoming/{}.json", random.uuid());
            calls.push(get_object(&company.buckets[0], &key, company));
        }
        _ => {
            let request = object! {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "keyId": &company.keys[2]};
            calls.push(Call::read("kms", "Decrypt", request));
        }
    }
}

fn monitor(random: &mut Random, calls: &mut Vec<Call>) {
    for _ in 0..random.between(2, 6) {
        let namespace = random.word(&["AWS/EC2", "AWS/RDS", "AWS/Lambda", "AWS/ApplicationELB"]);
        calls.push(Call::read("monitoring", "ListMetrics", object! {"namespace": namespace}));
        calls.push(Call::read("tagging", "GetResources", object! {"resourcesPerPage": 100i64}));
    }
}

/// What AWS does by itself: scaling, assuming roles for functions, describing for metrics.
fn service(company: &Company, time: Timestamp, random: &mut Random) -> (Session, Moves<Call>) {
    let name = random.word(&["autoscaling.amazonaws.com", "lambda.amazonaws.com", "ec2.amazonaws.com", "config.amazonaws.com"]);
    let call = match name {
        "autoscaling.amazonaws.com" => describe_instances(),
        "config.amazonaws.com" => Call::read("s3", "GetBucketAcl", object! {"bucketName": random.pick(&company.buckets), "acl": ""}),
        _ => assume_role(company, time, random),
    };
    let session = Session::temporary(Identity::Service(name), name, name, time, random);
    (session, paced(vec![call], 1.0, random))
}

fn assume_role(company: &Company, time: Timestamp, random: &mut Random) -> Call {
    let role = random.word(&["order-processor-lambda", "invoice-mailer-lambda", "eks-node-group-prod"]);
    let arn = format!("arn:aws:iam::{}:role/{role}", company.account);
    let session = random.hex(12);
    let request = object! {"roleArn": &arn, "roleSessionName": &session, "durationSeconds": 3600i64};
    let expires = crate::clock::iam(time.plus_secs(3600));
    let response = object! {"credentials": object! {"accessKeyId": random.aws_id("ASIA", 16), "expiration": expires}};
    let mut call = Call::read("sts", "AssumeRole", request);
    call.response = response;
    call.resources = Some(Json::list([object! {"accountId": &company.account, "type": "AWS::IAM::Role", "ARN": arn}]));
    call
}
