//! Expressions as programs of the classic BPF (McCanne and Jacobson, 1993), and such a program run.

use super::parse::{Expr, SCTP, TCP, UDP, Way};
use super::{FilterError, PROGRAM_MAX};
use net::capture::Link;
use std::net::IpAddr;

/// One instruction, as the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    /// How far to jump if the test holds, and if not.
    pub yes: u8,
    pub no: u8,
    pub k: u32,
}

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
/// At X and k.
const LOAD_HALF_X: u16 = 0x48;
/// X = four times the low half of the byte at k: the length of an IPv4 header.
const LOAD_HEADER_X: u16 = 0xb1;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_LEAST: u16 = 0x35;
const JUMP_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

const ETHER_IP: u32 = 0x0800;
const ETHER_IP6: u32 = 0x86dd;
const ETHER_ARP: u32 = 0x0806;

pub fn verdict(bytes: u32) -> Instruction {
    Instruction { code: RETURN, yes: 0, no: 0, k: bytes }
}

/// What a condition comes down to: loads, and one comparison.
enum Cond {
    And(Box<Cond>, Box<Cond>),
    Or(Box<Cond>, Box<Cond>),
    Not(Box<Cond>),
    Test { loads: Vec<(u16, u32)>, jump: u16, k: u32 },
    Always,
    Never,
}

impl Cond {
    fn and(self, other: Self) -> Self {
        Self::And(Box::new(self), Box::new(other))
    }

    fn or(self, other: Self) -> Self {
        Self::Or(Box::new(self), Box::new(other))
    }

    fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }
}

fn test(loads: &[(u16, u32)], jump: u16, k: u32) -> Cond {
    Cond::Test { loads: loads.to_vec(), jump, k }
}

/// Where IP begins within a frame, and how its version is told.
struct Layout {
    ethernet: bool,
    ip: u32,
}

pub fn compile(expr: &Expr, link: Link, snaplen: u32) -> Result<Vec<Instruction>, FilterError> {
    let layout = match link {
        Link::ETHERNET => Layout { ethernet: true, ip: 14 },
        Link::RAW | Link::IPV4 | Link::IPV6 => Layout { ethernet: false, ip: 0 },
        Link(other) => return Err(FilterError::Link(other)),
    };
    let mut code = Code::default();
    let (yes, no) = (code.label(), code.label());
    code.emit(&layout.lower(expr), yes, no);
    code.place(yes);
    code.lines.push(Line::Plain(verdict(snaplen)));
    code.place(no);
    code.lines.push(Line::Plain(verdict(0)));
    code.link()
}

impl Layout {
    fn lower(&self, expr: &Expr) -> Cond {
        match expr {
            Expr::And(a, b) => self.lower(a).and(self.lower(b)),
            Expr::Or(a, b) => self.lower(a).or(self.lower(b)),
            Expr::Not(a) => self.lower(a).negated(),
            Expr::Ip => self.version(ETHER_IP, 4),
            Expr::Ip6 => self.version(ETHER_IP6, 6),
            Expr::Arp if self.ethernet => test(&[(LOAD_HALF, 12)], JUMP_EQUAL, ETHER_ARP),
            Expr::Arp => Cond::Never,
            Expr::Protocol(protocol) => {
                let of = |at| test(&[(LOAD_BYTE, self.ip + at)], JUMP_EQUAL, u32::from(*protocol));
                self.v4().and(of(9)).or(self.v6().and(of(6)))
            }
            Expr::Net(way, ip, bits) => self.net(*way, *ip, *bits),
            Expr::Ports(way, protocol, first, last) => self.ports(*way, *protocol, *first, *last),
        }
    }

    fn version(&self, ether_type: u32, version: u32) -> Cond {
        if self.ethernet { test(&[(LOAD_HALF, 12)], JUMP_EQUAL, ether_type) } else { test(&[(LOAD_BYTE, 0), (AND, 0xf0)], JUMP_EQUAL, version << 4) }
    }

    fn v4(&self) -> Cond {
        self.version(ETHER_IP, 4)
    }

    fn v6(&self) -> Cond {
        self.version(ETHER_IP6, 6)
    }

    fn net(&self, way: Way, ip: IpAddr, bits: u8) -> Cond {
        let (version, words, source, destination): (Cond, Vec<u32>, u32, u32) = match ip {
            IpAddr::V4(ip) => (self.v4(), vec![ip.to_bits()], self.ip + 12, self.ip + 16),
            IpAddr::V6(ip) => (self.v6(), (0..4).map(|i| (ip.to_bits() >> (96 - 32 * i)) as u32).collect(), self.ip + 8, self.ip + 24),
        };
        let at = |place: u32| {
            let mut all = Cond::Always;
            for (i, word) in words.iter().enumerate() {
                let left = u32::from(bits).saturating_sub(32 * i as u32).min(32);
                let place = place + 4 * i as u32;
                all = match left {
                    0 => all,
                    32 => all.and(test(&[(LOAD_WORD, place)], JUMP_EQUAL, *word)),
                    _ => {
                        let mask = u32::MAX << (32 - left);
                        all.and(test(&[(LOAD_WORD, place), (AND, mask)], JUMP_EQUAL, word & mask))
                    }
                };
            }
            all
        };
        version.and(either(way, at(source), at(destination)))
    }

    /// Fragments but the first have no ports.
    fn ports(&self, way: Way, protocol: Option<u8>, first: u16, last: u16) -> Cond {
        let protocols = |at: u32| {
            let one = |protocol: u8| test(&[(LOAD_BYTE, self.ip + at)], JUMP_EQUAL, u32::from(protocol));
            protocol.map_or_else(|| one(TCP).or(one(UDP)).or(one(SCTP)), one)
        };
        let whole = test(&[(LOAD_HALF, self.ip + 6)], JUMP_SET, 0x1fff).negated();
        let v4 = |at: u32| within(&[(LOAD_HEADER_X, self.ip), (LOAD_HALF_X, self.ip + at)], first, last);
        let v6 = |at: u32| within(&[(LOAD_HALF, self.ip + 40 + at)], first, last);
        let in_v4 = self.v4().and(protocols(9)).and(whole).and(either(way, v4(0), v4(2)));
        let in_v6 = self.v6().and(protocols(6)).and(either(way, v6(0), v6(2)));
        in_v4.or(in_v6)
    }
}

fn either(way: Way, source: Cond, destination: Cond) -> Cond {
    match way {
        Way::Source => source,
        Way::Destination => destination,
        Way::Either => source.or(destination),
    }
}

fn within(loads: &[(u16, u32)], first: u16, last: u16) -> Cond {
    if first == last {
        return test(loads, JUMP_EQUAL, u32::from(first));
    }
    test(loads, JUMP_LEAST, u32::from(first)).and(test(loads, JUMP_GREATER, u32::from(last)).negated())
}

enum Line {
    Plain(Instruction),
    /// A comparison with the labels to go on at.
    Jump { code: u16, k: u32, yes: usize, no: usize },
}

#[derive(Default)]
struct Code {
    lines: Vec<Line>,
    /// Where each label is.
    labels: Vec<usize>,
}

impl Code {
    fn label(&mut self) -> usize {
        self.labels.push(usize::MAX);
        self.labels.len() - 1
    }

    fn place(&mut self, label: usize) {
        self.labels[label] = self.lines.len();
    }

    fn emit(&mut self, cond: &Cond, yes: usize, no: usize) {
        match cond {
            Cond::And(a, b) => {
                let then = self.label();
                self.emit(a, then, no);
                self.place(then);
                self.emit(b, yes, no);
            }
            Cond::Or(a, b) => {
                let otherwise = self.label();
                self.emit(a, yes, otherwise);
                self.place(otherwise);
                self.emit(b, yes, no);
            }
            Cond::Not(a) => self.emit(a, no, yes),
            Cond::Test { loads, jump, k } => {
                self.lines.extend(loads.iter().map(|(code, k)| Line::Plain(Instruction { code: *code, yes: 0, no: 0, k: *k })));
                self.lines.push(Line::Jump { code: *jump, k: *k, yes, no });
            }
            // A jump to the same place on both sides.
            Cond::Always => self.lines.push(Line::Jump { code: JUMP_EQUAL, k: 0, yes, no: yes }),
            Cond::Never => self.lines.push(Line::Jump { code: JUMP_EQUAL, k: 0, yes: no, no }),
        }
    }

    /// Labels become distances; all of them are ahead.
    fn link(self) -> Result<Vec<Instruction>, FilterError> {
        if self.lines.len() > PROGRAM_MAX {
            return Err(FilterError::LongProgram);
        }
        let far = |at: usize, label: usize| u8::try_from(self.labels[label] - at - 1).map_err(|_| FilterError::LongProgram);
        self.lines
            .iter()
            .enumerate()
            .map(|(at, line)| match line {
                Line::Plain(instruction) => Ok(*instruction),
                Line::Jump { code, k, yes, no } => Ok(Instruction { code: *code, yes: far(at, *yes)?, no: far(at, *no)?, k: *k }),
            })
            .collect()
    }
}

/// Runs a program as the kernel does: a load beyond the frame ends it with 0.
pub fn run(program: &[Instruction], frame: &[u8]) -> u32 {
    let half = |at: usize| Some(u32::from(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?])));
    let (mut a, mut x, mut at) = (0u32, 0usize, 0usize);
    while let Some(Instruction { code, yes, no, k }) = program.get(at) {
        let place = *k as usize;
        at += 1;
        let loaded = match *code {
            LOAD_WORD => half(place).zip(half(place + 2)).map(|(high, low)| high << 16 | low),
            LOAD_HALF => half(place),
            LOAD_HALF_X => half(x + place),
            LOAD_BYTE => frame.get(place).map(|byte| u32::from(*byte)),
            LOAD_HEADER_X => {
                let Some(byte) = frame.get(place) else { return 0 };
                x = usize::from(byte & 0xf) * 4;
                Some(a)
            }
            AND => Some(a & k),
            RETURN => return *k,
            jump => {
                let holds = match jump {
                    JUMP_EQUAL => a == *k,
                    JUMP_GREATER => a > *k,
                    JUMP_LEAST => a >= *k,
                    _ => a & k != 0,
                };
                at += usize::from(if holds { *yes } else { *no });
                Some(a)
            }
        };
        let Some(value) = loaded else { return 0 };
        a = value;
    }
    0
}
