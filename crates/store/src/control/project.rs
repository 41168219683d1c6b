//! Taking findings over from the state store: each joins its alert, alerts join groups, groups become
//! incidents, and entities their risk.
//!
//! A finding may be told several times: what is not newer than what is known changes nothing, what is newer
//! corrects what the finding had added to its alert, and one that is withdrawn or replaced is taken out. An
//! alert that loses its last finding is closed by itself.
//!
//! An alert that a person closed stays closed when findings of the same window still come in: whoever closed it
//! has judged this rule about this entity, and the count goes on. It opens again when a finding is more
//! severe than all before it, because that is news.
//!
//! Everything follows from the findings in the order in which they come, in event time, whatever batches they
//! come in: [`Desk`] brings what they concern, this file decides, `write` stores it.

use super::desk::{Desk, News, RowChange, Seen, Slim, Stored, hour_of, is_revisable, stage_of};
use super::group::{ACTOR, Group, Links, change_state, key_of, keys_of};
use super::risk::Risk;
use super::sql::query;
use super::{Control, ControlError};
use ahash::AHashSet;
use event::{
    Alert, AlertState, Entity, EntityKind, Finding, FindingStatus, Further, Id, Incident, Rule, Severity, Timestamp,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Findings of one alert whose rows are kept, the first ones; the further ones are counted.
pub const FINDINGS_PER_ALERT_MAX: u64 = 1_000;
/// How far ahead of this machine's clock an event may be dated and still count in a risk score as of then: a
/// forged date must not keep a score high for ever.
const AHEAD_SECS_MAX: i64 = 86_400;
/// Why an alert without findings is closed.
const EMPTIED: &str = "late events took its last finding";

/// What taking over a batch changed.
#[derive(Debug, Default)]
pub struct Projected {
    /// Alerts created (true) or changed (false), in the order in which they were first met.
    pub alerts: Vec<(Alert, bool)>,
    /// Incidents opened (true) or changed (false).
    pub incidents: Vec<(Incident, bool)>,
    /// Alerts that were closed because no finding is left.
    pub withdrawn: u64,
    /// Findings that went to an alert for what is beyond a rule's limit.
    pub capped: u64,
}

/// What a batch does besides changing what is on the desk.
#[derive(Default)]
pub struct Tally {
    opened: AHashSet<Id>,
    withdrawn: u64,
    capped: u64,
}

impl Control {
    /// Takes findings over from the state store and remembers `seq`, all in one transaction. Handing over what
    /// was handed over before changes nothing.
    pub async fn project(&self, findings: &[Finding], seq: u64) -> Result<Projected, ControlError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64);
        let mut tx = self.begin().await?;
        let mut desk = Desk::load(&mut tx, findings, now).await?;
        let mut tally = Tally::default();
        let horizon = Timestamp(now).plus_secs(AHEAD_SECS_MAX);
        for news in std::mem::take(&mut desk.news) {
            desk.take(news, horizon, &mut tally);
        }
        desk.write(&mut tx, now, seq).await?;
        tx.commit().await?;
        Ok(desk.told(tally))
    }

    pub async fn projected_seq(&self) -> Result<u64, ControlError> {
        let row = query("SELECT value FROM counter WHERE name = 'projected_seq'").fetch_optional(&self.read).await?;
        Ok(row.map(|row| row.try_get::<i64>(0)).transpose()?.unwrap_or(0) as u64)
    }
}

impl<'a> Desk<'a> {
    fn take(&mut self, news: News<'a>, horizon: Timestamp, tally: &mut Tally) {
        let finding = news.finding;
        let Some(before) = self.accept(finding) else { return };
        // The alert it was in, that of the finding it replaces, and the one it is in now; with their levels.
        let mut touched: [Option<(Id, Option<Severity>)>; 3] = [None; 3];
        let severity = |desk: &Self, id: &Id| desk.alerts.get(id).map(|s| s.alert.severity);
        if let Some((alert, events)) = before {
            touched[0] = Some((alert, severity(self, &alert)));
            self.take_out(finding.id, alert, events);
        }
        if let Some(old) = finding.replaces.filter(|id| *id != finding.id)
            && let Some((alert, events)) = self.replace(old)
        {
            touched[1] = Some((alert, severity(self, &alert)));
            self.take_out(old, alert, events);
        }
        if finding.status != FindingStatus::Withdrawn {
            let id = self.place_of(&news, horizon, tally);
            touched[2] = Some((id, severity(self, &id).filter(|_| !self.alerts[&id].is_begun)));
            self.put_in(finding, id);
        }
        for (place, one) in touched.iter().enumerate() {
            if let Some((id, severity)) = *one
                && !touched[..place].iter().flatten().any(|(earlier, _)| *earlier == id)
            {
                self.settle(id, severity, finding.time, horizon, tally);
            }
        }
    }

    /// Whether a finding is news, and if so, where it was counted so far.
    fn accept(&mut self, finding: &Finding) -> Option<Option<(Id, u64)>> {
        let stage = stage_of(finding);
        let seen = self.seen.get_mut(&finding.id)?;
        // A finding that was final at once is not told again; where it was counted is not remembered for ever.
        let closed = seen.stage == 1 && seen.counted.is_none();
        if !seen.fresh && (stage <= seen.stage || closed) {
            return None;
        }
        let before = seen.counted.take();
        *seen = Seen { stage, counted: None, fresh: false, changed: seen.changed || !seen.fresh || is_revisable(finding) };
        Some(before)
    }

    /// Where a finding was counted that another one replaces. What is told of it from now on is too late.
    fn replace(&mut self, id: Id) -> Option<(Id, u64)> {
        let late = Seen { stage: 3, counted: None, fresh: false, changed: true };
        let seen = self.seen.entry(id).or_insert_with(|| late.clone());
        if seen.fresh {
            *seen = late;
            return None;
        }
        seen.changed = true;
        seen.counted.take()
    }

    fn touch(&mut self, id: Id) -> Option<&mut Stored> {
        let stored = self.alerts.get_mut(&id)?;
        if !stored.changed {
            stored.changed = true;
            self.touched.push(id);
        }
        Some(stored)
    }

    /// Takes out what a finding had added to an alert. Times and level shrink only while all findings of the
    /// alert have rows; the numbers are exact in any case.
    fn take_out(&mut self, finding: Id, alert: Id, events: u64) {
        self.rows.insert(finding, RowChange::Delete);
        let Some(stored) = self.touch(alert) else { return };
        let alert = &mut stored.alert;
        alert.finding_count = alert.finding_count.saturating_sub(1);
        alert.event_count = alert.event_count.saturating_sub(events);
        let Some(rows) = stored.rows.as_mut() else { return };
        if rows.remove(&finding).is_some() {
            stored.stored_findings = stored.stored_findings.saturating_sub(1);
        }
        if rows.is_empty() || rows.len() as u64 != alert.finding_count || alert.further.is_some() {
            return;
        }
        let newest = rows.iter().max_by_key(|(id, row)| (row.time, **id));
        stored.newest = newest.map(|(id, _)| *id);
        alert.last_seen = newest.map_or(alert.last_seen, |(_, row)| row.time);
        alert.first_seen = rows.values().map(|row| row.time).min().unwrap_or(alert.first_seen);
        alert.severity = rows.values().map(|row| row.level).max().unwrap_or(alert.severity);
    }

    /// The alert that a finding belongs to; it is made if the rule may make one more in this hour.
    fn place_of(&mut self, news: &News<'_>, horizon: Timestamp, tally: &mut Tally) -> Id {
        let (finding, id) = (news.finding, news.alert);
        if self.alerts.contains_key(&id) {
            return id;
        }
        if let Some(further) = self.further.get(&id).filter(|further| self.alerts.contains_key(*further)) {
            tally.capped += 1;
            return *further;
        }
        let made = self.quotas.entry((finding.rule.id.clone(), hour_of(finding))).or_default();
        if made.0 < finding.rule.handling.alerts_per_hour {
            *made = (made.0 + 1, true);
            self.alerts.insert(id, Stored::begin(Alert::from_finding(finding)));
            return id;
        }
        tally.capped += 1;
        self.place_beyond(news, horizon)
    }

    fn place_beyond(&mut self, news: &News<'_>, horizon: Timestamp) -> Id {
        let News { finding, alert: id, further } = *news;
        let stored = self.alerts.entry(further).or_insert_with(|| Stored::begin(Alert::of_further(finding)));
        if stored.alert.further.as_ref().is_none_or(|f| f.entities < Further::ENTITIES_MAX) {
            stored.alert.count_further(&finding.entity);
            self.further.insert(id, further);
            self.new_further.push((id, further));
            self.add_risk(&finding.entity, &finding.rule, finding.time.min(horizon));
        }
        further
    }

    fn put_in(&mut self, finding: &'a Finding, id: Id) {
        let Some(stored) = self.touch(id) else { return };
        let alert = &mut stored.alert;
        if alert.finding_count == 0 {
            (alert.first_seen, alert.last_seen, alert.severity) = (finding.time, finding.time, finding.level);
            stored.newest = None;
        }
        let newest = stored.newest.is_none_or(|known| (finding.time, finding.id) > (alert.last_seen, known))
            && finding.time >= alert.last_seen;
        alert.absorb(finding, newest);
        if newest {
            (stored.newest, stored.summary_of) = (Some(finding.id), Some(finding.id));
        }
        let has_row = stored.stored_findings < FINDINGS_PER_ALERT_MAX;
        if has_row {
            stored.stored_findings += 1;
            if let Some(rows) = stored.rows.as_mut() {
                rows.insert(finding.id, Slim { time: finding.time, level: finding.level });
            }
            self.rows.insert(finding.id, RowChange::Put(finding, id));
        }
        if let Some(seen) = self.seen.get_mut(&finding.id) {
            seen.counted = (has_row || is_revisable(finding)).then_some((id, finding.event_count));
        }
    }

    /// What follows for an alert and its group from the findings that it now has. `before` is the level it had.
    fn settle(&mut self, id: Id, before: Option<Severity>, time: Timestamp, horizon: Timestamp, tally: &mut Tally) {
        let Some(stored) = self.alerts.get_mut(&id) else { return };
        if stored.alert.finding_count == 0 {
            return self.end(id, time, horizon, tally);
        }
        stored.is_begun = false;
        let alert = &mut stored.alert;
        let last = alert.history.last();
        if alert.state == AlertState::Closed && last.is_some_and(|c| c.actor == ACTOR && c.reason.as_deref() == Some(EMPTIED)) {
            change_state(alert, AlertState::Open, ACTOR, Some("a finding came after all".to_owned()), time);
        } else if let Some(before) = before.filter(|before| alert.severity > *before && alert.state == AlertState::Closed) {
            let reason = format!("severity rose from {before} to {}", alert.severity);
            change_state(alert, AlertState::Open, ACTOR, Some(reason), time);
        }
        if alert.further.is_some() {
            return;
        }
        let events = std::mem::replace(&mut stored.told_events, alert.event_count);
        match stored.group {
            None => self.begin(id, time, horizon, tally),
            Some(group) => self.update_group(group, id, events, tally),
        }
    }

    fn update_group(&mut self, id: Id, alert: Id, events: u64, tally: &mut Tally) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if group.update(&self.alerts[&alert].alert, events) && !group.opened && group.has_earned_it(0) {
            group.opened = true;
            tally.opened.insert(id);
        }
        self.touch_group(id);
    }

    fn touch_group(&mut self, id: Id) {
        if self.group_is_touched.insert(id) {
            self.touched_groups.push(id);
        }
    }

    /// The alert has lost its last finding.
    fn end(&mut self, id: Id, time: Timestamp, horizon: Timestamp, tally: &mut Tally) {
        let Some(stored) = self.alerts.get_mut(&id) else { return };
        if stored.alert.state != AlertState::Closed {
            change_state(&mut stored.alert, AlertState::Closed, ACTOR, Some(EMPTIED.to_owned()), time);
            tally.withdrawn += 1;
        }
        let (weight, at) = std::mem::take(&mut stored.risk);
        let events = std::mem::take(&mut stored.told_events);
        let (alert, group) = (stored.alert.clone(), stored.group.take());
        if weight > 0
            && let Some((risk, changed)) = self.risks.get_mut(&key_of(&alert.entity))
        {
            risk.take_back(weight, at.min(horizon));
            *changed = true;
        }
        let Some((id, group)) = group.and_then(|id| Some((id, self.groups.get_mut(&id)?))) else { return };
        group.leave(&alert, events, time);
        if group.is_empty() && !group.opened {
            self.groups.remove(&id);
            self.dropped.push(id);
        } else {
            self.touch_group(id);
        }
    }

    /// Adds to an entity's score. Answers what was added, in thousandths, and the score.
    fn add_risk(&mut self, entity: &Entity, rule: &Rule, time: Timestamp) -> (i64, u32) {
        if entity.kind == EntityKind::Unknown {
            return (0, 0);
        }
        let new = || (Risk::new(entity.clone(), time), true);
        let (risk, changed) = self.risks.entry(key_of(entity)).or_insert_with(new);
        *changed = true;
        (risk.add(rule, time), risk.at(time))
    }

    /// An alert that was not there before, or had lost all its findings, finds its group.
    fn begin(&mut self, id: Id, time: Timestamp, horizon: Timestamp, tally: &mut Tally) {
        let alert = self.alerts[&id].alert.clone();
        let (own, named) = keys_of(&alert);
        let at = time.min(horizon);
        let (weight, score) = self.add_risk(&alert.entity, &alert.rule, at);
        self.alerts.get_mut(&id).expect("it is there").risk = (weight, at);
        self.see_together(&alert, time);
        let named: Vec<String> = named.into_iter().filter(|key| self.is_specific(key, time)).collect();
        let group_id = self.find_group(&alert, own.as_deref(), &named, time);
        let Some(group) = self.groups.get_mut(&group_id) else { return };
        group.join(&alert);
        if group.incident.entity == alert.entity {
            group.incident.risk = group.incident.risk.max(score);
        }
        if !group.opened && group.has_earned_it(score) {
            group.opened = true;
            tally.opened.insert(group_id);
        }
        let keys = own.into_iter().map(|key| (key, true)).chain(named.into_iter().map(|key| (key, false)));
        for (key, direct) in keys {
            if group.add_key(&key, direct) {
                self.by_key.entry(key).or_default().push(group_id);
            }
        }
        self.touch_group(group_id);
        self.alerts.get_mut(&id).expect("it is there").group = Some(group_id);
    }

    fn is_specific(&self, key: &str, time: Timestamp) -> bool {
        self.links.get(key).is_none_or(|(links, _)| links.is_specific(time))
    }

    fn see_together(&mut self, alert: &Alert, time: Timestamp) {
        let (own, named) = keys_of(alert);
        let keys: Vec<String> = own.into_iter().chain(named).collect();
        let user = keys.iter().find(|key| key.starts_with("user:"));
        let ip = keys.iter().find(|key| key.starts_with("ip:"));
        if let Some((user, ip)) = user.zip(ip) {
            for (key, partner) in [(user, ip), (ip, user)] {
                let (links, changed) = self.links.entry(key.clone()).or_insert_with(|| (Links::default(), true));
                links.see(partner, time);
                *changed = true;
            }
        }
    }

    /// The group that an alert joins, which may be none yet. Groups that it connects become one, except for
    /// those that are incidents already.
    fn find_group(&mut self, alert: &Alert, own: Option<&str>, named: &[String], time: Timestamp) -> Id {
        let mut found: Vec<(bool, bool, Timestamp, Id)> = Vec::new();
        let specific = own.is_some_and(|own| self.is_specific(own, time));
        for key in own.into_iter().chain(named.iter().map(String::as_str)) {
            for id in self.by_key.get(key).into_iter().flatten() {
                let Some(group) = self.groups.get(id).filter(|group| group.is_active(time)) else { continue };
                let direct = Some(key) == own && group.keys.iter().any(|k| k.text == key && k.direct);
                if direct || specific || Some(key) != own {
                    found.push((!group.opened, !direct, group.incident.first_seen, *id));
                }
            }
        }
        found.sort();
        let Some((.., winner)) = found.first().copied() else { return self.new_group(alert) };
        for (.., other) in found {
            let absorbed = other != winner && self.groups.get(&other).is_some_and(|group| self.groups[&winner].may_absorb(group));
            if absorbed {
                self.merge(other, winner, time);
            }
        }
        winner
    }

    fn new_group(&mut self, alert: &Alert) -> Id {
        let mut group = Group::new(alert);
        if self.groups.contains_key(&group.incident.id) {
            // The alert had made a group, left it, and is now too far from it.
            group.incident.id = Id::of(&[b"incident", &alert.id.0, &alert.first_seen.0.to_le_bytes()]);
        }
        let id = group.incident.id;
        self.groups.entry(id).or_insert(group);
        id
    }

    fn merge(&mut self, from: Id, to: Id, time: Timestamp) {
        let Some(group) = self.groups.remove(&from) else { return };
        for key in &group.keys {
            if let Some(ids) = self.by_key.get_mut(&key.text) {
                ids.iter_mut().filter(|id| **id == from).for_each(|id| *id = to);
            }
        }
        for stored in self.alerts.values_mut().filter(|stored| stored.group == Some(from)) {
            stored.group = Some(to);
        }
        self.groups.get_mut(&to).expect("it was found").absorb(group, time);
        self.merged.push((from, to));
        self.touch_group(to);
    }

    /// What the batch changed, for those who listen.
    pub fn told(mut self, tally: Tally) -> Projected {
        let mut out = Projected { withdrawn: tally.withdrawn, capped: tally.capped, ..Projected::default() };
        for id in std::mem::take(&mut self.touched) {
            let Some(mut stored) = self.alerts.remove(&id) else { continue };
            stored.alert.incident = stored.group.filter(|group| self.groups.get(group).is_some_and(|g| g.opened));
            out.alerts.push((stored.alert, stored.is_new));
        }
        for id in std::mem::take(&mut self.touched_groups) {
            if let Some(group) = self.groups.remove(&id).filter(|group| group.opened) {
                out.incidents.push((group.incident, tally.opened.contains(&id)));
            }
        }
        out
    }
}

impl Stored {
    /// A new alert; the finding that it was made from is still to be put in.
    fn begin(mut alert: Alert) -> Self {
        (alert.finding_count, alert.event_count) = (0, 0);
        Self {
            alert,
            stored_findings: 0,
            newest: None,
            summary_of: None,
            group: None,
            risk: Default::default(),
            told_events: 0,
            rows: Some(Default::default()),
            is_new: true,
            is_begun: true,
            changed: false,
        }
    }
}
