//! Findings that ban their source.
//!
//! The projector hands over each batch of findings after they became alerts and before the state store forgets them.
//! A ban's id is a hash of its finding, so that a batch that comes again after a crash bans nobody twice, and does not
//! ban anew whom somebody has let in since.

use super::{ACTOR, Answer};
use crate::pipeline::Shared;
use detect::bans::{Decision, Enforced, Policy, Refusal, Situation, network, subject};
use event::{Alert, Finding, FindingStatus, Id, Timestamp};
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use store::control::{Ban, BanSource, Control, ControlError, Undoing};

/// How long rules do not ban again whom a person let in.
const JUDGED_SECS: i64 = 86_400;
const HOUR_SECS: i64 = 3_600;

impl Answer {
    /// Lets findings ban, and takes back what late events took back.
    pub async fn consider(&self, shared: &Shared, control: &Control, findings: &[Finding]) -> Result<(), ControlError> {
        let Some(policy) = &self.policy else { return Ok(()) };
        let concerned: Vec<&Finding> = findings.iter().filter(|f| policy.secs_of(&f.rule, f.level).is_some()).collect();
        if concerned.is_empty() {
            return Ok(());
        }
        let now = (shared.now)();
        let ids: Vec<Id> = concerned.iter().map(|f| f.id).collect();
        let answered: HashMap<Id, Id> = control.findings_answered(&ids).await?.into_iter().collect();
        let withdrawn: Vec<Id> = concerned.iter().filter(|f| f.status == FindingStatus::Withdrawn).filter_map(|f| answered.get(&f.id).copied()).collect();
        let why = Undoing { actor: ACTOR, reason: "late events took the finding back", by_person: false };
        let undone = control.undo_bans(&withdrawn, why, now).await?;
        let fresh: Vec<&Finding> = concerned.into_iter().filter(|f| f.status != FindingStatus::Withdrawn && !answered.contains_key(&f.id)).collect();
        let mut bans = self.decide(shared, control, policy, &fresh, now).await?;
        if bans.is_empty() && undone.is_empty() {
            return Ok(());
        }
        match control.put_bans(&bans, None, now).await {
            // More bans than anybody looks through: alerts must go on.
            Err(ControlError::TooMany(most)) => {
                tracing::error!(most, "findings ban nobody: there are too many bans");
                bans.iter().for_each(|_| self.refused(Refusal::Rate));
                bans.clear();
            }
            stored => {
                stored?;
            }
        }
        self.refresh(shared, control).await?;
        undone.iter().for_each(|ban| self.announce(shared, ban, false));
        bans.iter().for_each(|ban| self.announce(shared, ban, true));
        Ok(())
    }

    async fn decide(&self, shared: &Shared, control: &Control, policy: &Policy, findings: &[&Finding], now: Timestamp) -> Result<Vec<Ban>, ControlError> {
        if findings.is_empty() {
            return Ok(Vec::new());
        }
        let dry = self.section.dry_run;
        // As it stands, with what this batch adds: two findings of a batch are often about the same address.
        let snapshot = if self.snapshot().generation == 0 { self.refresh(shared, control).await? } else { self.snapshot() };
        let mut in_hour = control.count_rule_bans(now.plus_secs(-HOUR_SECS), dry).await?;
        let mut just_now: HashSet<IpNet> = HashSet::new();
        if dry {
            just_now.extend(snapshot.bans.iter().filter(|ban| ban.dry_run && ban.is_active(now)).filter_map(|ban| network(&ban.cidr).ok()));
        }
        let mut bans = Vec::new();
        for finding in findings {
            let Some(net) = finding.source_ip.as_deref().and_then(|ip| ip.parse().ok()).map(subject) else {
                self.refused(Refusal::NoSource);
                continue;
            };
            let stands = |e: &Enforced| e.net.contains(&net) && e.until.is_none_or(|until| until > now);
            let is_banned = just_now.contains(&net) || snapshot.within(net).iter().any(stands);
            // The database is asked about those only for whom its answer matters.
            let (mut taken_back, mut offences) = (false, 0);
            if !is_banned && !snapshot.trust_set.touches(net) && in_hour < policy.bans_per_hour {
                let cidr = net.to_string();
                taken_back = control.last_taken_back(&cidr).await?.is_some_and(|at| at > now.plus_secs(-JUDGED_SECS));
                offences = control.offences(&cidr, now.plus_secs(-policy.escalation.memory_secs), dry).await?;
            }
            let decision = {
                let (banned, judged, offences) = (|_| is_banned, |_| taken_back, |_| offences);
                let situation = Situation { now, trusts: &snapshot.trust_set, banned: &banned, judged: &judged, offences: &offences, bans_last_hour: in_hour };
                policy.decide(finding, &situation)
            };
            match decision {
                Decision::Ban { net, secs, offences } => {
                    in_hour += 1;
                    just_now.insert(net);
                    bans.push(ban_of(finding, net, now, secs, offences, dry));
                }
                Decision::No(why) => {
                    self.refused(why);
                    if why == Refusal::Rate {
                        self.tell_capped(control, policy, now).await?;
                    }
                }
            }
        }
        debug_assert!(bans.iter().all(|ban| network(&ban.cidr).is_ok()));
        Ok(bans)
    }

    /// Once an hour: that there would have been more bans.
    async fn tell_capped(&self, control: &Control, policy: &Policy, now: Timestamp) -> Result<(), ControlError> {
        let hour = now.secs().div_euclid(HOUR_SECS);
        if self.capped_hour.lock().replace(hour) == Some(hour) {
            return Ok(());
        }
        tracing::warn!(bans_per_hour = policy.bans_per_hour, "findings would ban more than they may within an hour");
        control.audit(ACTOR, "ban.capped", "", &format!("more than {} within an hour", policy.bans_per_hour), now).await
    }
}

fn ban_of(finding: &Finding, net: IpNet, now: Timestamp, secs: i64, offences: u32, dry_run: bool) -> Ban {
    let cidr = net.to_string();
    let alert = Alert::from_finding(finding).id;
    Ban {
        id: Id::of(&[b"ban", &finding.id.0, cidr.as_bytes(), &[u8::from(dry_run)]]),
        reason: finding.rule.name.to_string(),
        actor: ACTOR.into(),
        source: BanSource::Rule,
        rule: Some(finding.rule.id.to_string()),
        rule_name: Some(finding.rule.name.to_string()),
        alert: Some(alert),
        finding: Some(finding.id),
        created_at: now,
        until: Some(now.plus_secs(secs)),
        dry_run,
        grown_from: None,
        offences,
        undone: None,
        cidr,
    }
}
