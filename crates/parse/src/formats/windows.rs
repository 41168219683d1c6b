//! Windows events as JSON: what evtx dumpers, winlogbeat and NXLog write, brought to the flat field names
//! that Sigma's `windows` rules use.

use crate::{address, members, time};
use compact_str::{CompactString, format_compact};
use event::{Class, Event, LogSource, Map, Status, Value};

/// Event ids of Sysmon and Sigma's category of each (Sysmon's manual; Sigma's appendix on taxonomy).
const SYSMON: &[(i64, &str)] = &[
    (1, "process_creation"), (2, "file_change"), (3, "network_connection"), (4, "sysmon_status"),
    (5, "process_termination"), (6, "driver_load"), (7, "image_load"), (8, "create_remote_thread"),
    (9, "raw_access_thread"), (10, "process_access"), (11, "file_event"), (13, "registry_set"),
    (14, "registry_rename"), (15, "create_stream_hash"), (16, "sysmon_status"), (17, "pipe_created"),
    (18, "pipe_created"), (19, "wmi_event"), (20, "wmi_event"), (21, "wmi_event"), (22, "dns_query"),
    (23, "file_delete"), (24, "clipboard_capture"), (25, "process_tampering"), (26, "file_delete"),
    (27, "file_block_executable"), (28, "file_block_shredding"), (29, "file_executable_detected"),
    (255, "sysmon_error"),
];

/// Channels and Sigma's service of each.
const SERVICES: &[(&str, &str)] = &[
    ("Security", "security"),
    ("System", "system"),
    ("Application", "application"),
    ("Microsoft-Windows-Sysmon/Operational", "sysmon"),
    ("Microsoft-Windows-PowerShell/Operational", "powershell"),
    ("PowerShellCore/Operational", "powershell"),
    ("Windows PowerShell", "powershell-classic"),
    ("Microsoft-Windows-TaskScheduler/Operational", "taskscheduler"),
    ("Microsoft-Windows-WMI-Activity/Operational", "wmi"),
    ("Microsoft-Windows-Windows Defender/Operational", "windefend"),
    ("DNS Server", "dns-server"),
    ("Microsoft-Windows-DNS-Server/Audit", "dns-server-audit"),
    ("Microsoft-Windows-DNS-Server/Analytical", "dns-server-analytic"),
    ("Microsoft-Windows-DNS Client Events/Operational", "dns-client"),
    ("Microsoft-Windows-DriverFrameworks-UserMode/Operational", "driver-framework"),
    ("Microsoft-Windows-NTLM/Operational", "ntlm"),
    ("Microsoft-Windows-DHCP-Server/Operational", "dhcp"),
    ("MSExchange Management", "msexchange-management"),
    ("Microsoft-Windows-PrintService/Admin", "printservice-admin"),
    ("Microsoft-Windows-PrintService/Operational", "printservice-operational"),
    ("Microsoft-Windows-SmbClient/Security", "smbclient-security"),
    ("Microsoft-Windows-SmbClient/Connectivity", "smbclient-connectivity"),
    ("Microsoft-Windows-SMBServer/Connectivity", "smbserver-connectivity"),
    ("Microsoft-Windows-CodeIntegrity/Operational", "codeintegrity-operational"),
    ("Microsoft-Windows-Windows Firewall With Advanced Security/Firewall", "firewall-as"),
    ("Microsoft-Windows-Bits-Client/Operational", "bits-client"),
    ("Microsoft-Windows-AppXDeploymentServer/Operational", "appxdeployment-server"),
    ("Microsoft-Windows-AppxPackaging/Operational", "appxpackaging-om"),
    ("Microsoft-Windows-AppModel-Runtime/Admin", "appmodel-runtime"),
    ("Microsoft-Windows-LSA/Operational", "lsa-server"),
    ("Microsoft-Windows-LDAP-Client/Debug", "ldap"),
    ("Microsoft-Windows-TerminalServices-LocalSessionManager/Operational", "terminalservices-localsessionmanager"),
    ("OpenSSH/Operational", "openssh"),
    ("Microsoft-Windows-AppLocker/EXE and DLL", "applocker"),
    ("Microsoft-Windows-AppLocker/MSI and Script", "applocker"),
    ("Microsoft-Windows-AppLocker/Packaged app-Deployment", "applocker"),
    ("Microsoft-Windows-AppLocker/Packaged app-Execution", "applocker"),
    ("Microsoft-Windows-Security-Mitigations/Kernel Mode", "security-mitigations"),
    ("Microsoft-Windows-Security-Mitigations/User Mode", "security-mitigations"),
    ("Microsoft-Windows-Shell-Core/Operational", "shell-core"),
    ("Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational", "certificateservicesclient-lifecycle-system"),
    ("Microsoft-Windows-CAPI2/Operational", "capi2"),
    ("Microsoft-Windows-Diagnosis-Scripted/Operational", "diagnosis-scripted"),
    ("Microsoft-IIS-Configuration/Operational", "iis-configuration"),
    ("Microsoft-ServiceBus-Client/Operational", "microsoft-servicebus-client"),
    ("Microsoft-ServiceBus-Client/Admin", "microsoft-servicebus-client"),
];

/// Whether [`flatten`] would take it.
pub(super) fn is_event(map: &Map) -> bool {
    let system = |map: &Map| map.get("System").and_then(Value::as_map).is_some_and(|s| s.get("EventID").is_some());
    system(map)
        || map.get("Event").and_then(Value::as_map).is_some_and(system)
        || (map.get("EventID").is_some() && map.get("Channel").is_some_and(|c| c.as_str().is_some()))
}

/// The event's flat fields, if the object is a Windows event; else the object back.
pub(super) fn flatten(map: Map) -> Result<Map, Map> {
    if let Some(event) = map.get("Event").and_then(Value::as_map)
        && let Some(system) = event.get("System").and_then(Value::as_map)
    {
        return Ok(from_evtx(event, system));
    }
    if let Some(system) = map.get("System").and_then(Value::as_map).filter(|system| system.get("EventID").is_some()) {
        return Ok(from_evtx(&map, system));
    }
    if let Some(log) = map.get("winlog").and_then(Value::as_map).filter(|log| log.get("event_id").is_some()) {
        return Ok(from_winlogbeat(&map, log));
    }
    if map.get("EventID").is_some() && map.get("Channel").and_then(Value::as_str).is_some() {
        return Ok(from_flat(map));
    }
    Err(map)
}

/// `{System, EventData | UserData}`, as evtx dumpers write it.
fn from_evtx(event: &Map, system: &Map) -> Map {
    let mut flat = Map::default();
    for (name, value) in system.iter() {
        match (name, value) {
            ("Provider", Value::Map(_)) => {
                if let Some(provider) = attribute(value, "Name") {
                    flat.push("Provider_Name", provider);
                }
            }
            ("TimeCreated", _) => {
                if let Some(time) = attribute(value, "SystemTime") {
                    flat.push("TimeCreated", time);
                }
            }
            ("Execution", Value::Map(_)) => {
                for (ours, theirs) in [("Execution_ProcessID", "ProcessID"), ("Execution_ThreadID", "ThreadID")] {
                    if let Some(id) = attribute(value, theirs) {
                        flat.push(ours, id);
                    }
                }
            }
            ("Security", Value::Map(_)) => {
                if let Some(id) = attribute(value, "UserID") {
                    flat.push("Security_UserID", id);
                }
            }
            ("EventID", Value::Map(_)) => flat.push("EventID", value.get("#text").cloned().unwrap_or_default()),
            _ => flat.push(name, value.clone()),
        }
    }
    for part in ["EventData", "UserData"] {
        if let Some(data) = event.get(part).and_then(Value::as_map) {
            add_data(&mut flat, data);
        }
    }
    flat
}

/// An XML attribute as dumpers write it: `{"#attributes":{"Name":…}}`, `{"@Name":…}` or `{"Name":…}`.
fn attribute(value: &Value, name: &str) -> Option<Value> {
    let inner = value.get("#attributes").unwrap_or(value);
    let found = inner.get(name).or_else(|| inner.get(&format_compact!("@{name}")));
    found.cloned().or_else(|| value.as_str().map(Value::from))
}

/// Members of `EventData`; one level of nesting (`UserData` has a named element) is undone. Look-up
/// finds the first of a name, so what is already there stands; looking for it here would be quadratic.
fn add_data(flat: &mut Map, data: &Map) {
    for (name, value) in data.iter() {
        match (name, value) {
            ("#attributes", _) => {}
            ("Data", Value::List(list)) if list.iter().any(|item| attribute_name(item).is_some()) => {
                for item in list {
                    let text = item.get("#text").or_else(|| item.get("Text")).cloned().unwrap_or_default();
                    if let Some(name) = attribute_name(item) {
                        flat.push(name, text);
                    }
                }
            }
            ("Data", Value::Map(inner)) => flat.push("Data", inner.get("#text").cloned().unwrap_or_default()),
            // Defender writes "Threat Name" where Sigma's taxonomy says ThreatName.
            (name, value) if name.contains(' ') && !matches!(value, Value::Map(_)) => {
                flat.push(name, value.clone());
                flat.push(name.replace(' ', ""), value.clone());
            }
            (_, Value::Map(inner)) => {
                for (name, value) in inner.iter().filter(|(name, _)| *name != "#attributes") {
                    flat.push(name, value.clone());
                }
            }
            _ => flat.push(name, value.clone()),
        }
    }
}

fn attribute_name(item: &Value) -> Option<CompactString> {
    item.as_map()?;
    attribute(item, "Name").as_ref().and_then(members::as_text)
}

fn from_winlogbeat(map: &Map, log: &Map) -> Map {
    let mut flat = Map::default();
    const NAMES: &[(&str, &str)] = &[
        ("event_id", "EventID"), ("channel", "Channel"), ("provider_name", "Provider_Name"),
        ("computer_name", "Computer"), ("record_id", "EventRecordID"), ("task", "Task"), ("keywords", "Keywords"),
    ];
    for (theirs, ours) in NAMES {
        if let Some(value) = log.get(theirs) {
            flat.push(*ours, value.clone());
        }
    }
    for part in ["event_data", "user_data"] {
        if let Some(data) = log.get(part).and_then(Value::as_map) {
            add_data(&mut flat, data);
        }
    }
    for (name, value) in map.iter().filter(|(name, _)| *name != "winlog") {
        flat.push(name, value.clone());
    }
    flat
}

/// Already flat, but for an `EventData` member; NXLog calls the provider `SourceName`.
fn from_flat(mut map: Map) -> Map {
    for part in ["EventData", "UserData"] {
        if let Some(Value::Map(data)) = map.get(part).cloned() {
            map.0.retain(|(name, _)| name != part);
            add_data(&mut map, &data);
        }
    }
    for (theirs, ours) in [("SourceName", "Provider_Name"), ("ProviderName", "Provider_Name"), ("Hostname", "Computer")] {
        if let Some(value) = map.get(theirs).cloned() {
            members::add(&mut map, ours, value);
        }
    }
    map
}

/// Sets the OCSF columns of flat fields and Sigma's log source.
pub(super) fn read(event: &mut Event, mut map: Map) {
    const TIMES: &[&str] = &["TimeCreated", "@timestamp", "UtcTime", "EventTime", "timestamp", "SystemTime"];
    time::set(event, members::first(&map, TIMES));
    let id = map.get("EventID").and_then(Value::as_i64).unwrap_or_default();
    event.log_source = log_source(&map, id);
    if event.log_source.service == "security" && id == 4688 {
        rename_process_creation(&mut map);
    }
    let text = |names: &[&str]| members::text(&map, names).filter(|text| text != "-");
    let ocsf = &mut event.ocsf;
    ocsf.message = text(&["Message", "message"]);
    ocsf.product = text(&["Provider_Name", "Channel"]);
    ocsf.device_hostname = text(&["Computer", "Hostname", "host.name", "host"]);
    ocsf.user_name = text(&["TargetUserName", "User", "SubjectUserName", "AccountName"]);
    ocsf.process_name = text(&["Image", "SourceImage", "ProcessName", "NewProcessName"]);
    ocsf.process_pid = members::first(&map, &["ProcessId", "SourceProcessId"]).and_then(process_id);
    if let Some(address) = text(&["IpAddress", "SourceIp", "SourceAddress", "ClientAddress"]) {
        address::set_endpoint(&mut ocsf.src, &address);
        ocsf.src.port = members::first(&map, &["IpPort", "SourcePort"]).and_then(Value::as_i64);
    }
    if let Some(address) = text(&["DestinationIp", "DestAddress"]) {
        address::set_endpoint(&mut ocsf.dst, &address);
        ocsf.dst.port = members::first(&map, &["DestinationPort", "DestPort"]).and_then(Value::as_i64);
    }
    if event.log_source.service == "security" {
        set_logon(event, id);
    }
    event.native = Value::Map(map);
}

/// The security log writes process ids in hexadecimal.
fn process_id(value: &Value) -> Option<i64> {
    match value.as_str().and_then(|text| text.strip_prefix("0x")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => value.as_i64(),
    }
}

fn set_logon(event: &mut Event, id: i64) {
    let (activity, status) = match id {
        4624 => ("Logon", Status::Success),
        4625 | 4771 => ("Logon", Status::Failure),
        4634 | 4647 => ("Logoff", Status::Success),
        4648 => ("Account Switch", Status::Unknown),
        4768 => ("Authentication Ticket", Status::Unknown),
        4769 => ("Service Ticket Request", Status::Unknown),
        _ => return,
    };
    event.class = Class::Authentication;
    event.ocsf.activity = Some(activity.into());
    event.ocsf.status = status;
}

/// Sigma's `process_creation` fields are named after Sysmon's; event 4688 has its own.
fn rename_process_creation(map: &mut Map) {
    const NAMES: &[(&str, &str)] = &[
        ("NewProcessName", "Image"), ("ParentProcessName", "ParentImage"), ("SubjectUserName", "User"),
        ("MandatoryLabel", "IntegrityLevel"), ("ProcessCommandLine", "CommandLine"),
    ];
    for (theirs, ours) in NAMES {
        if let Some(value) = map.get(theirs).cloned() {
            members::add(map, ours, value);
        }
    }
}

fn log_source(map: &Map, id: i64) -> LogSource {
    let channel = map.get("Channel").and_then(Value::as_str).unwrap_or_default();
    let service = SERVICES.iter().find(|(name, _)| name.eq_ignore_ascii_case(channel)).map_or("", |(_, service)| service);
    let category = match (service, id) {
        ("sysmon", 12) => registry_category(map),
        ("sysmon", _) => SYSMON.iter().find(|(known, _)| *known == id).map_or("", |(_, category)| category),
        ("security", 4688) => "process_creation",
        ("security", 4657) => "registry_event",
        ("powershell", 4103) => "ps_module",
        ("powershell", 4104) => "ps_script",
        ("powershell-classic", 400) => "ps_classic_start",
        ("powershell-classic", 600) => "ps_classic_provider_start",
        _ => "",
    };
    LogSource { product: "windows", category, service }
}

/// Whether an event can have this category and service, each empty where it does not matter.
pub(super) fn has_log_source(category: &str, service: &str) -> bool {
    let known = |service: &str| SERVICES.iter().any(|(_, own)| *own == service);
    let services: &[&str] = match category {
        "" => return service.is_empty() || known(service),
        "process_creation" | "registry_event" => &["sysmon", "security"],
        "registry_add" | "registry_delete" => &["sysmon"],
        "ps_module" | "ps_script" => &["powershell"],
        "ps_classic_start" | "ps_classic_provider_start" => &["powershell-classic"],
        other if SYSMON.iter().any(|(_, own)| *own == other) => &["sysmon"],
        _ => return false,
    };
    service.is_empty() || services.contains(&service)
}

/// Sysmon's event 12 is both the creation and the deletion of a key.
fn registry_category(map: &Map) -> &'static str {
    match map.get("EventType").and_then(Value::as_str) {
        Some("CreateKey") => "registry_add",
        Some(kind) if kind.starts_with("Delete") => "registry_delete",
        _ => "registry_event",
    }
}
