//! Every route with every role and every scope, from the route table: nobody gets in where the table does
//! not say so, and everybody gets in where it does.
use crate::door::{Door, PASSWORD};
use api::{Access, ROUTES, Route};
use engine::control::Role;

/// A path with its parameters filled by names that do not exist.
fn path(route: &Route) -> String {
    route.path.split('/').map(|part| if part.starts_with('{') { "00000000-0000-0000-0000-000000000000" } else { part }).collect::<Vec<_>>().join("/")
}

fn role_may(access: Access, role: Role) -> bool {
    match access {
        Access::Open | Access::Read | Access::Person | Access::Bouncer => true,
        Access::Ingest | Access::IngestLocal | Access::Ask | Access::Triage | Access::Inspect | Access::Hook | Access::Ban => role >= Role::Analyst,
        Access::Manage => role == Role::Admin,
        // Agents sign; no person and no key is one.
        Access::Agent => false,
    }
}

fn scope_may(access: Access, scope: &str) -> bool {
    match access {
        Access::Open => true,
        Access::Person | Access::Agent => false,
        Access::Inspect | Access::Hook => matches!(scope, "inspect" | "admin"),
        Access::Ingest | Access::IngestLocal => matches!(scope, "ingest" | "admin"),
        Access::Read | Access::Ask => matches!(scope, "read" | "admin"),
        Access::Ban => matches!(scope, "answer" | "admin"),
        Access::Bouncer => matches!(scope, "bouncer" | "read" | "admin"),
        Access::Triage | Access::Manage => scope == "admin",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_lets_in_whom_its_row_names_and_nobody_else() {
    let door = Door::with(|c| c.ingest_open_on_loopback = false).await;
    let admin = door.admin().await;
    let mut callers = Vec::new();
    for role in [Role::Viewer, Role::Analyst, Role::Admin] {
        let name = format!("user-{}", role.as_str());
        door.make_user(&admin, &name, role.as_str(), PASSWORD).await;
        callers.push((name.clone(), door.token(&name, PASSWORD).await, Some(role)));
    }
    for scope in ["ingest", "read", "inspect", "admin", "answer", "bouncer"] {
        let (key, _) = door.make_key(&admin, &format!("key-{scope}"), &[scope]).await;
        callers.push((scope.to_owned(), format!("Bearer {key}"), None));
    }
    let mut crossings = 0;
    for route in ROUTES {
        let path = path(route);
        let anonymous = door.call(route.verb.as_str(), &path, &[], b"").await.status;
        assert_eq!(anonymous == 401, route.access != Access::Open, "{} {path} without credentials: {anonymous}", route.verb.as_str());
        for (who, credential, role) in &callers {
            let may = role.map_or_else(|| scope_may(route.access, who), |role| role_may(route.access, role));
            let status = door.call(route.verb.as_str(), &path, &[("Authorization", credential)], b"").await.status;
            assert_ne!(status, 401, "{} {path} as {who}", route.verb.as_str());
            assert_eq!(status != 403, may, "{} {path} as {who}: {status}", route.verb.as_str());
            assert!(status < 500, "{} {path} as {who}: {status}", route.verb.as_str());
            crossings += 1;
        }
    }
    assert_eq!(crossings, ROUTES.len() * 9);
    door.close().await;
}
