use crate::actor::{self, Session, World};
use crate::random::Random;
use crate::truth::{AttackLabel, EventRef, Truth};
use crate::{Kind, Stream, clock};
use event::{Id, Timestamp};
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What to simulate.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    pub kind: Kind,
    pub seed: u64,
    /// Events per second, averaged over a day; brought into [`SimConfig::RATE_MIN`]..=[`SimConfig::RATE_MAX`].
    pub rate: f64,
    /// The share of events that are steps of attacks, 0 (none) to [`SimConfig::ATTACKS_MAX`].
    pub attacks: f64,
    /// No event is earlier.
    pub start: Timestamp,
}

impl SimConfig {
    pub const ATTACKS_DEFAULT: f64 = 0.05;
    pub const ATTACKS_MAX: f64 = 0.95;
    pub const RATE_MIN: f64 = 0.01;
    pub const RATE_MAX: f64 = 1_000_000.0;
}

/// One entry and what is true about it.
#[derive(Clone, Debug, PartialEq)]
pub struct SimEvent {
    pub time: Timestamp,
    pub stream: Stream,
    /// The raw entry as the source writes it, without a line feed.
    pub line: String,
    pub truth: Truth,
}

/// Lets so many events flow per second: whoever plans events charges them, and the next session starts when
/// they are paid off. So the long-run rate is exact however long sessions are.
struct Faucet {
    rate: f64,
    next: Timestamp,
}

impl Faucet {
    fn charge(&mut self, events: usize) {
        let secs = events as f64 / (self.rate * clock::busy(self.next));
        self.next = Timestamp(self.next.0.saturating_add((secs * 1e6) as i64));
    }
}

/// An actor waiting for its next move. The order is by time, then by who started first.
struct Waiting {
    time: Timestamp,
    started: u64,
    stream: Stream,
    session: Session,
    label: Option<AttackLabel>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.started).cmp(&(other.time, other.started))
    }
}

/// One stream's sources of events: organic traffic, and attacks dealt from a shuffled deck.
struct Channel {
    stream: Stream,
    organic: Faucet,
    attacks: Option<Faucet>,
    deck: Vec<usize>,
}

/// An endless, seeded source of log entries in time order.
pub struct Simulator {
    start: Timestamp,
    random: Random,
    world: World,
    channels: Vec<Channel>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    started: u64,
    ordinal: u64,
}

/// Sessions begun this long before the start are under way at the start, so that the rate is right from the
/// first second. At high rates the time is cut so that at most so many events are thrown away.
const WARM_UP_SECS: f64 = 300.0;
const WARM_UP_EVENTS_MAX: f64 = 100_000.0;
/// The first attack of each stream begins within this time.
const FIRST_ATTACK_SECS: f64 = 4.0;

impl Simulator {
    pub fn new(config: SimConfig) -> Self {
        let rate = if config.rate.is_nan() { SimConfig::RATE_MIN } else { config.rate };
        let rate = rate.clamp(SimConfig::RATE_MIN, SimConfig::RATE_MAX);
        let attacks = if config.attacks.is_nan() { 0.0 } else { config.attacks.clamp(0.0, SimConfig::ATTACKS_MAX) };
        let mut random = Random::seeded(config.seed);
        let world = World::new(&mut random);
        let warm_up_secs = WARM_UP_SECS.min(WARM_UP_EVENTS_MAX / rate);
        let begin = Timestamp(config.start.0.saturating_sub((warm_up_secs * 1e6) as i64));
        let streams = config.kind.streams();
        let total: u32 = streams.iter().map(|(_, part)| part).sum();
        let channels = streams.iter().map(|(stream, part)| {
            let rate = rate * f64::from(*part) / f64::from(total);
            let first = Timestamp(config.start.0 + (random.unit() * FIRST_ATTACK_SECS * 1e6) as i64);
            Channel {
                stream: *stream,
                organic: Faucet { rate: rate * (1.0 - attacks), next: begin },
                attacks: (attacks > 0.0).then_some(Faucet { rate: rate * attacks, next: first }),
                deck: Vec::new(),
            }
        });
        let channels = channels.collect();
        let waiting = BinaryHeap::new();
        let mut simulator = Self { start: config.start, random, world, channels, waiting, started: 0, ordinal: 0 };
        simulator.warm_up();
        simulator
    }

    /// All events before this time.
    pub fn batch(&mut self, until: Timestamp) -> Vec<SimEvent> {
        let mut events = Vec::new();
        while self.next_time() < until {
            events.extend(self.next());
        }
        events
    }

    /// When the next event is.
    pub fn next_time(&mut self) -> Timestamp {
        self.launch_due();
        self.waiting.peek().map_or(self.start, |waiting| waiting.0.time)
    }

    /// Starts sessions until none could come before the earliest event that is waiting.
    fn launch_due(&mut self) {
        loop {
            let due = self.waiting.peek().map(|waiting| waiting.0.time);
            let channel = (0..self.channels.len()).min_by_key(|i| self.channels[*i].next()).unwrap_or(0);
            if due.is_some_and(|due| due < self.channels[channel].next()) {
                return;
            }
            self.launch(channel);
        }
    }

    fn launch(&mut self, index: usize) {
        let channel = &mut self.channels[index];
        let (time, stream) = (channel.next(), channel.stream);
        let attacking = channel.attacks.as_ref().is_some_and(|attacks| attacks.next == time);
        let (session, label) = if attacking {
            let attack = channel.deal(&mut self.random);
            let (session, entity) = Session::attack(stream, attack, time, &self.world, &mut self.random);
            let id = Id::of(&[b"sim attack", &self.random.bits().to_le_bytes(), &self.started.to_le_bytes()]);
            let label = actor::label(&actor::attacks(stream)[attack], id, session.planned(), entity);
            (session, Some(label))
        } else {
            (Session::organic(stream, time, &self.world, &mut self.random), None)
        };
        // A session that plans nothing still costs one event: time must move on.
        channel.charge(attacking, session.planned().max(1));
        self.started += 1;
        let wait = session.wait();
        self.wait(Waiting { time, started: self.started, stream, session, label }, wait);
    }

    fn wait(&mut self, mut waiting: Waiting, wait: Option<i64>) {
        if let Some(wait) = wait {
            waiting.time = Timestamp(waiting.time.0.saturating_add(wait.max(1)));
            self.waiting.push(Reverse(waiting));
        }
    }

    /// Takes the earliest event off the heap and lets its actor wait for the next one.
    fn step(&mut self) -> Option<SimEvent> {
        self.launch_due();
        let Reverse(mut waiting) = self.waiting.pop()?;
        let (time, stream) = (waiting.time, waiting.stream);
        let written = waiting.session.write(time, &self.world, &mut self.random);
        if let Some(label) = &mut waiting.label {
            label.step += 1;
        }
        let attack = waiting.label.clone();
        self.go_on(waiting);
        let written = written?;
        let line_hash = Id::of(&[written.line.as_bytes()]);
        let event = EventRef { ordinal: self.ordinal, event_id: written.event_id, line_hash };
        Some(SimEvent { time, stream, line: written.line, truth: Truth { event, stream, time, attack } })
    }

    fn go_on(&mut self, mut waiting: Waiting) {
        let before = waiting.session.planned();
        waiting.session.refill(&mut self.random);
        let added = waiting.session.planned() - before;
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.stream == waiting.stream) {
            channel.charge(waiting.label.is_some(), added);
        }
        let wait = waiting.session.wait();
        self.wait(waiting, wait);
    }

    fn warm_up(&mut self) {
        while self.next_time() < self.start {
            self.step();
        }
        self.ordinal = 0;
    }
}

impl Channel {
    /// When its next session starts.
    fn next(&self) -> Timestamp {
        let attack = self.attacks.as_ref().map_or(Timestamp(i64::MAX), |attacks| attacks.next);
        self.organic.next.min(attack)
    }

    fn charge(&mut self, attacking: bool, events: usize) {
        match &mut self.attacks {
            Some(attacks) if attacking => attacks.charge(events),
            _ => self.organic.charge(events),
        }
    }

    /// The next attack of the deck; every attack comes once before any comes again.
    fn deal(&mut self, random: &mut Random) -> usize {
        if self.deck.is_empty() {
            self.deck = (0..actor::attacks(self.stream).len()).collect();
            random.shuffle(&mut self.deck);
        }
        self.deck.pop().unwrap_or(0)
    }
}

impl Iterator for Simulator {
    type Item = SimEvent;

    fn next(&mut self) -> Option<SimEvent> {
        let event = self.step()?;
        self.ordinal += 1;
        Some(event)
    }
}
