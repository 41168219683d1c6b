use crate::address::{ACCESS, Place};
use crate::json::{Json, object};
use crate::random::Random;
use event::Timestamp;

/// The regions that the company uses, most of all the first.
pub(crate) const REGIONS: [&str; 3] = ["eu-central-1", "eu-west-1", "us-east-1"];

/// Who AWS says it was.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// With the access key of their own.
    User { name: &'static str, id: String, key: String },
    Role { role: &'static str, id: String, session: String },
    Root,
    Service(&'static str),
}

/// What somebody's work consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Team {
    Developer,
    Operations,
    Data,
    Security,
    Admin,
    Deployment,
    Cluster,
    Backup,
    Function,
    Monitoring,
}

/// One of the people or machines that use the account, with their habits.
#[derive(Debug)]
pub(crate) struct Person {
    pub identity: Identity,
    pub team: Team,
    pub home: &'static Place,
    /// Usual addresses: office or home, and a second one.
    pub addresses: [String; 2],
    pub agent: &'static str,
    /// Signs in to the console with a browser, rather than calling the API with keys.
    pub console: bool,
    /// First and last working hour on their own clock; `None` works around the clock.
    pub hours: Option<(i64, i64)>,
}

impl Person {
    /// How likely they are at work at this time, next to others.
    pub fn weight(&self, time: Timestamp) -> u32 {
        let Some((first, last)) = self.hours else { return 40 };
        let on_time = (first..=last).contains(&self.home.hour(time));
        match (on_time, self.home.is_weekday(time)) {
            (true, true) => 60,
            (true, false) => 4,
            (false, _) => 1,
        }
    }

    pub fn name(&self) -> &str {
        match &self.identity {
            Identity::User { name, .. } => name,
            Identity::Role { session, .. } => session,
            Identity::Root => "root",
            Identity::Service(name) => name,
        }
    }
}

/// The account and everything in it.
pub(crate) struct Company {
    pub account: String,
    pub people: Vec<Person>,
    pub buckets: Vec<String>,
    pub instances: Vec<String>,
    pub secrets: Vec<String>,
    pub keys: Vec<String>,
    pub functions: Vec<&'static str>,
}

const BROWSERS: [&str; 3] = [
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
];
const TOOLS: [&str; 5] = [
    "aws-cli/2.31.18 md/awscrt#0.27.6 ua/2.1 os/macos#24.6.0 md/arch#arm64 lang/python#3.13.7 md/pyimpl#CPython m/b,E,Z cfg/retry-mode#standard md/installer#exe",
    "aws-cli/2.28.4 md/awscrt#0.26.1 ua/2.1 os/linux#6.8.0-85-generic md/arch#x86_64 lang/python#3.13.4 md/pyimpl#CPython",
    "Boto3/1.40.61 md/Botocore#1.40.61 ua/2.1 os/linux#6.8.0-85-generic md/arch#x86_64 lang/python#3.12.3 md/pyimpl#CPython",
    "APN/1.0 HashiCorp/1.0 Terraform/1.13.4 (+https://www.terraform.io) terraform-provider-aws/6.18.0 aws-sdk-go-v2/1.39.4 ua/2.1 os/linux lang/go#1.24.6",
    "aws-sdk-go-v2/1.39.4 ua/2.1 os/linux lang/go#1.24.6 md/GOOS#linux md/GOARCH#amd64 api/ec2#1.257.0",
];

/// People with a user of their own (`None`) or who come through single sign-on (the role's name).
const STAFF: [(&str, Team, Option<&str>); 26] = [
    ("alice.berger", Team::Admin, None),
    ("ben.okafor", Team::Developer, None),
    ("carla.rossi", Team::Developer, Some(SSO_DEVELOPER)),
    ("daniel.novak", Team::Operations, None),
    ("emma.lindqvist", Team::Data, Some(SSO_DATA)),
    ("farid.haddad", Team::Developer, Some(SSO_DEVELOPER)),
    ("grace.tanaka", Team::Security, None),
    ("hugo.martin", Team::Developer, None),
    ("ines.garcia", Team::Data, None),
    ("jakub.kowalski", Team::Operations, Some(SSO_OPERATIONS)),
    ("kavya.iyer", Team::Developer, None),
    ("liam.walsh", Team::Operations, None),
    ("mei.chen", Team::Data, Some(SSO_DATA)),
    ("noah.fischer", Team::Developer, Some(SSO_DEVELOPER)),
    ("olivia.jones", Team::Admin, Some(SSO_ADMIN)),
    ("paulo.silva", Team::Developer, None),
    ("quinn.murphy", Team::Security, Some(SSO_SECURITY)),
    ("rania.nasser", Team::Developer, None),
    ("samuel.brown", Team::Operations, None),
    ("tomoko.sato", Team::Data, None),
    ("uma.patel", Team::Developer, Some(SSO_DEVELOPER)),
    ("viktor.larsson", Team::Operations, None),
    ("wanda.dlamini", Team::Developer, None),
    ("xavier.dubois", Team::Data, Some(SSO_DATA)),
    ("yuna.kim", Team::Developer, None),
    ("zane.cooper", Team::Developer, Some(SSO_DEVELOPER)),
];
const SSO_DEVELOPER: &str = "AWSReservedSSO_Developer_1f0c3d5e7a9b2468";
const SSO_OPERATIONS: &str = "AWSReservedSSO_Operations_5b7d9f1a3c5e7089";
const SSO_DATA: &str = "AWSReservedSSO_DataAnalyst_9a8b7c6d5e4f3021";
const SSO_SECURITY: &str = "AWSReservedSSO_SecurityAudit_0d1e2f3a4b5c6d7e";
const SSO_ADMIN: &str = "AWSReservedSSO_AdministratorAccess_c0ffee1234567890";

/// Machines: the role, what they do, and the tool that they do it with.
const MACHINES: [(&str, Team, usize); 14] = [
    ("gitlab-runner-deploy", Team::Deployment, 3),
    ("github-actions-deploy", Team::Deployment, 1),
    ("terraform-apply", Team::Deployment, 3),
    ("eks-node-group-prod", Team::Cluster, 4),
    ("eks-node-group-staging", Team::Cluster, 4),
    ("cluster-autoscaler", Team::Cluster, 4),
    ("nightly-backup", Team::Backup, 2),
    ("order-processor-lambda", Team::Function, 2),
    ("invoice-mailer-lambda", Team::Function, 2),
    ("thumbnail-lambda", Team::Function, 2),
    ("datadog-integration", Team::Monitoring, 2),
    ("grafana-cloudwatch", Team::Monitoring, 4),
    ("prometheus-exporter", Team::Monitoring, 4),
    ("glue-etl-orders", Team::Data, 2),
];

impl Company {
    pub fn new(random: &mut Random) -> Self {
        let mut people: Vec<Person> = STAFF.iter().map(|member| staff(member, random)).collect();
        people.extend(MACHINES.iter().map(|member| machine(member, random)));
        let bucket = |name: &&str| format!("acme-{name}-{}", random.hex(6));
        let buckets =
            ["orders-prod", "customer-exports", "web-assets", "athena-results", "backups", "app-logs", "ml-features"];
        let buckets = buckets.iter().map(bucket).collect();
        Self {
            account: format!("{}{}", random.between(1, 9), random.digits(11)),
            people,
            buckets,
            instances: (0..40).map(|_| format!("i-0{}", random.hex(16))).collect(),
            secrets: (0..30).map(|i| format!("prod/{}/{}", SECRET_OWNERS[i % 10], SECRET_KINDS[i / 10])).collect(),
            keys: (0..6).map(|_| random.uuid()).collect(),
            functions: vec!["order-processor", "invoice-mailer", "thumbnail", "stock-sync", "price-feed", "cart-events"],
        }
    }

    /// Somebody who might be at work now.
    pub fn at_work(&self, time: Timestamp, random: &mut Random) -> &Person {
        let total: u64 = self.people.iter().map(|person| u64::from(person.weight(time))).sum();
        let mut at = random.below(total);
        for person in &self.people {
            let weight = u64::from(person.weight(time));
            if at < weight {
                return person;
            }
            at -= weight;
        }
        &self.people[0]
    }

    /// Somebody with an access key of their own, whom an attacker could have robbed of it.
    pub fn key_owner(&self, random: &mut Random) -> &Person {
        let is_user = |person: &&Person| matches!(person.identity, Identity::User { .. });
        let owners: Vec<&Person> = self.people.iter().filter(is_user).collect();
        random.pick::<&Person>(&owners)
    }
}

const SECRET_OWNERS: [&str; 10] =
    ["orders", "billing", "checkout", "search", "mailer", "warehouse", "crm", "reports", "auth", "stock"];
const SECRET_KINDS: [&str; 3] = ["database", "api-key", "signing-key"];

fn staff((name, team, sso): &(&'static str, Team, Option<&'static str>), random: &mut Random) -> Person {
    let home = random.pick(ACCESS);
    let identity = match sso {
        Some(role) => Identity::Role { role, id: random.aws_id("AROA", 17), session: format!("{name}@acme.example") },
        None => Identity::User { name, id: random.aws_id("AIDA", 17), key: random.aws_id("AKIA", 16) },
    };
    let console = sso.is_some() || random.chance(0.4);
    let first = random.between(7, 10);
    Person {
        identity,
        team: *team,
        home,
        addresses: [home.address(random).to_string(), home.address(random).to_string()],
        agent: if console { random.word(&BROWSERS) } else { random.word(&TOOLS[..3]) },
        console,
        hours: Some((first, first + random.between(8, 10))),
    }
}

fn machine((role, team, tool): &(&'static str, Team, usize), random: &mut Random) -> Person {
    let session = match team {
        Team::Cluster => format!("i-0{}", random.hex(16)),
        Team::Deployment => format!("job-{}", random.digits(8)),
        _ => (*role).to_owned(),
    };
    // Machines run in AWS: their calls come from its public ranges in Frankfurt and Dublin.
    let address = |random: &mut Random| {
        let net = random.word(&["3.120", "18.184", "52.28", "34.240"]);
        format!("{net}.{}.{}", random.below(255), random.between(1, 254))
    };
    Person {
        identity: Identity::Role { role, id: random.aws_id("AROA", 17), session },
        team: *team,
        home: &ACCESS[0],
        addresses: [address(random), address(random)],
        agent: TOOLS[*tool],
        console: false,
        hours: None,
    }
}

/// The `userIdentity` member of a call with this key in a session that began at `created`.
pub(crate) fn user_identity(identity: &Identity, account: &str, key: &str, created: Option<&str>, mfa: bool) -> Json {
    let attributes = || object! {"creationDate": created.unwrap_or_default(), "mfaAuthenticated": bool_text(mfa)};
    match identity {
        Identity::User { name, id, .. } => {
            let arn = format!("arn:aws:iam::{account}:user/{name}");
            let mut object = crate::json::Object::new();
            object.put("type", "IAMUser");
            object.put("principalId", id);
            object.put("arn", arn);
            object.put("accountId", account);
            put_unless_empty(&mut object, "accessKeyId", key);
            object.put("userName", name);
            if created.is_some() {
                object.put("sessionContext", object! {"attributes": attributes()});
            }
            object.end()
        }
        Identity::Role { role, id, session } => object! {
            "type": "AssumedRole",
            "principalId": format!("{id}:{session}"),
            "arn": format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
            "accountId": account,
            "accessKeyId": key,
            "sessionContext": object! {
                "sessionIssuer": object! {
                    "type": "Role",
                    "principalId": id,
                    "arn": format!("arn:aws:iam::{account}:role/{role}"),
                    "accountId": account,
                    "userName": role,
                },
                "attributes": attributes(),
            },
        },
        Identity::Root => {
            let mut object = crate::json::Object::new();
            object.put("type", "Root");
            object.put("principalId", account);
            object.put("arn", format!("arn:aws:iam::{account}:root"));
            object.put("accountId", account);
            object.put("accessKeyId", key);
            if created.is_some() {
                object.put("sessionContext", object! {"attributes": attributes()});
            }
            object.end()
        }
        Identity::Service(name) => object! {"type": "AWSService", "invokedBy": name},
    }
}

fn bool_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn put_unless_empty(object: &mut crate::json::Object, key: &str, value: &str) {
    if !value.is_empty() {
        object.put(key, value);
    }
}
