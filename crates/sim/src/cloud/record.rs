use super::company::{Company, Identity, REGIONS, user_identity};
use crate::clock;
use crate::json::{Json, Object, object};
use crate::random::Random;
use event::Timestamp;

/// One API call, or one sign-in to the console.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub service: &'static str,
    pub name: &'static str,
    pub request: Json,
    pub response: Json,
    pub error: Option<(&'static str, String)>,
    pub sort: Sort,
    pub resources: Option<Json>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Read,
    Write,
    /// A read of an object's content: a data event, which is not a management event.
    DataRead,
    /// A sign-in to the console; whether with a second factor.
    SignIn { mfa: bool },
}

impl Call {
    pub fn read(service: &'static str, name: &'static str, request: Json) -> Self {
        Self { service, name, request, response: Json::null(), error: None, sort: Sort::Read, resources: None }
    }

    pub fn write(service: &'static str, name: &'static str, request: Json, response: Json) -> Self {
        Self { service, name, request, response, error: None, sort: Sort::Write, resources: None }
    }

    pub fn sign_in(success: bool, mfa: bool) -> Self {
        let result = if success { "Success" } else { "Failure" };
        Self {
            service: "signin",
            name: "ConsoleLogin",
            request: Json::null(),
            response: object! {"ConsoleLogin": result},
            error: (!success).then(|| ("", "Failed authentication".to_owned())),
            sort: Sort::SignIn { mfa },
            resources: None,
        }
    }

    /// The same call refused for want of permission.
    pub fn denied(mut self, who: &str) -> Self {
        self.response = Json::null();
        let action = format!("{}:{}", self.service, self.name);
        let message = format!(
            "User: {who} is not authorized to perform: {action} because no identity-based policy allows the {action} action"
        );
        self.error = Some((if self.service == "ec2" { "Client.UnauthorizedOperation" } else { "AccessDenied" }, message));
        self
    }

    /// The same call refused because too many were made.
    pub fn throttled(mut self) -> Self {
        self.response = Json::null();
        self.error = Some(("ThrottlingException", "Rate exceeded".to_owned()));
        self
    }

    fn is_read_only(&self) -> bool {
        matches!(self.sort, Sort::Read | Sort::DataRead)
    }

    /// IAM, sign-in and other global services log in us-east-1.
    fn region<'a>(&self, usual: &'a str) -> &'a str {
        if matches!(self.service, "iam" | "signin" | "organizations" | "cloudfront" | "route53") { "us-east-1" } else { usual }
    }
}

/// Someone's session: from where, with which key and tool, since when.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub identity: Identity,
    pub address: String,
    pub agent: String,
    pub key: String,
    pub region: &'static str,
    /// When temporary credentials were issued, as written; `None` for a user's own key.
    pub created: Option<String>,
    pub mfa: bool,
    pub from_console: bool,
}

impl Session {
    /// A session with keys that a role or the console was given now.
    pub fn temporary(identity: Identity, address: &str, agent: &str, time: Timestamp, random: &mut Random) -> Self {
        Self {
            identity,
            address: address.to_owned(),
            agent: agent.to_owned(),
            key: random.aws_id("ASIA", 16),
            region: *random.weighted::<&'static str>(&[(REGIONS[0], 8), (REGIONS[1], 2), (REGIONS[2], 1)]),
            created: Some(clock::iso_secs(time)),
            mfa: false,
            from_console: false,
        }
    }

    /// A session with a user's own long-lived key.
    pub fn with_key(identity: Identity, address: &str, agent: &str, random: &mut Random) -> Self {
        let mut session = Self::temporary(identity, address, agent, Timestamp(0), random);
        if let Identity::User { key, .. } = &session.identity {
            session.key.clone_from(key);
        }
        session.created = None;
        session
    }

    /// The event and its `eventID`.
    pub fn write(&self, call: &Call, time: Timestamp, company: &Company, random: &mut Random) -> (String, String) {
        let event_id = random.uuid();
        let signing_in = matches!(call.sort, Sort::SignIn { .. });
        let mut record = Object::new();
        record.put("eventVersion", if signing_in { "1.08" } else { "1.11" });
        record.put("userIdentity", self.identity_of(call, &company.account));
        record.put("eventTime", clock::iso_secs(time));
        record.put("eventSource", format!("{}.amazonaws.com", call.service));
        record.put("eventName", call.name);
        record.put("awsRegion", call.region(self.region));
        record.put("sourceIPAddress", &self.address);
        record.put("userAgent", &self.agent);
        put_error(&mut record, call);
        record.put("requestParameters", &call.request);
        record.put("responseElements", &call.response);
        self.put_additional(&mut record, call, random);
        if !signing_in {
            record.put("requestID", random.uuid());
        }
        record.put("eventID", &event_id);
        record.put("readOnly", call.is_read_only());
        if let Some(resources) = &call.resources {
            record.put("resources", resources);
        }
        self.put_tail(&mut record, call, company);
        (record.end().0, event_id)
    }

    fn identity_of(&self, call: &Call, account: &str) -> Json {
        // A sign-in has no key and no session yet.
        match call.sort {
            Sort::SignIn { .. } => user_identity(&self.identity, account, "", None, false),
            _ => user_identity(&self.identity, account, &self.key, self.created.as_deref(), self.mfa),
        }
    }

    fn put_additional(&self, record: &mut Object, call: &Call, random: &mut Random) {
        match call.sort {
            Sort::SignIn { mfa } => record.put(
                "additionalEventData",
                object! {
                    "LoginTo": format!("https://console.aws.amazon.com/console/home?region={}&state=hashArgs%23", self.region),
                    "MobileVersion": "No",
                    "MFAUsed": if mfa { "Yes" } else { "No" },
                },
            ),
            Sort::DataRead => record.put(
                "additionalEventData",
                object! {
                    "SignatureVersion": "SigV4",
                    "CipherSuite": "TLS_AES_128_GCM_SHA256",
                    "bytesTransferredIn": 0i64,
                    "AuthenticationMethod": "AuthHeader",
                    "x-amz-id-2": random.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 56),
                    "bytesTransferredOut": random.between(900, 4_000_000),
                },
            ),
            Sort::Read | Sort::Write => {}
        }
    }

    fn put_tail(&self, record: &mut Object, call: &Call, company: &Company) {
        let event_type = match (call.sort, &self.identity) {
            (Sort::SignIn { .. }, _) => "AwsConsoleSignIn",
            (_, Identity::Service(_)) if !call.is_read_only() => "AwsServiceEvent",
            _ => "AwsApiCall",
        };
        let data = call.sort == Sort::DataRead;
        record.put("eventType", event_type);
        record.put("managementEvent", !data);
        record.put("recipientAccountId", &company.account);
        record.put("eventCategory", if data { "Data" } else { "Management" });
        if !matches!(self.identity, Identity::Service(_)) {
            record.put("tlsDetails", self.tls(call));
        }
        if self.from_console && !matches!(call.sort, Sort::SignIn { .. }) {
            record.put("sessionCredentialFromConsole", "true");
        }
    }

    fn tls(&self, call: &Call) -> Json {
        let host = match call.service {
            "signin" => format!("{}.signin.aws.amazon.com", self.region),
            "iam" | "organizations" => format!("{}.amazonaws.com", call.service),
            service => format!("{service}.{}.amazonaws.com", self.region),
        };
        object! {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": host}
    }
}

fn put_error(record: &mut Object, call: &Call) {
    if let Some((code, message)) = &call.error {
        if !code.is_empty() {
            record.put("errorCode", *code);
        }
        record.put("errorMessage", message);
    }
}

/// The resources member of a data event on an object.
pub(crate) fn object_resources(bucket: &str, key: &str, account: &str) -> Json {
    let arn = format!("arn:aws:s3:::{bucket}");
    Json::list([
        object! {"type": "AWS::S3::Object", "ARN": format!("{arn}/{key}")},
        object! {"accountId": account, "type": "AWS::S3::Bucket", "ARN": arn},
    ])
}
