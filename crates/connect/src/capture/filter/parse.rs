//! The text of a filter, as an expression.

use super::FilterError;
use std::net::IpAddr;

/// Parentheses and `not` within each other.
const DEPTH_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Source,
    Destination,
    Either,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Ip,
    Ip6,
    Arp,
    /// An IP protocol, in both versions or in one.
    Protocol(u8),
    Net(Way, IpAddr, u8),
    /// Ports from and to, of one protocol or of TCP, UDP and SCTP.
    Ports(Way, Option<u8>, u16, u16),
}

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP6: u8 = 58;
pub const SCTP: u8 = 132;

struct Parser<'a> {
    words: Vec<(usize, &'a str)>,
    next: usize,
    end: usize,
    depth: usize,
}

pub fn parse(text: &str) -> Result<Expr, FilterError> {
    let mut parser = Parser { words: words(text), next: 0, end: text.chars().count() + 1, depth: 0 };
    let expr = parser.or()?;
    match parser.peek() {
        None => Ok(expr),
        Some(word) => Err(parser.wrong(format!("{word:?} is not expected"))),
    }
}

/// Words with their place, counted in characters from 1.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words: Vec<(usize, &str)> = Vec::new();
    let (mut begin, mut begin_char) = (None, 0);
    for (place, (at, c)) in text.char_indices().enumerate() {
        let alone = matches!(c, '(' | ')' | '!');
        if (c.is_whitespace() || alone)
            && let Some(from) = begin.take()
        {
            words.push((begin_char, &text[from..at]));
        }
        if alone {
            words.push((place + 1, &text[at..at + 1]));
        } else if !c.is_whitespace() && begin.is_none() {
            (begin, begin_char) = (Some(at), place + 1);
        }
    }
    if let Some(from) = begin {
        words.push((begin_char, &text[from..]));
    }
    words
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).map(|(_, word)| *word)
    }

    fn take(&mut self, wanted: &[&str]) -> Option<&'a str> {
        let word = self.peek().filter(|word| wanted.contains(word))?;
        self.next += 1;
        Some(word)
    }

    fn wrong(&self, what: impl Into<String>) -> FilterError {
        FilterError::Syntax { at: self.words.get(self.next).map_or(self.end, |(at, _)| *at), what: what.into() }
    }

    fn or(&mut self) -> Result<Expr, FilterError> {
        let mut left = self.and()?;
        while self.take(&["or", "||"]).is_some() {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, FilterError> {
        let mut left = self.not()?;
        while self.take(&["and", "&&"]).is_some() {
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, FilterError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong("too many parentheses"));
        }
        let expr = if self.take(&["not", "!"]).is_some() {
            Expr::Not(Box::new(self.not()?))
        } else if self.take(&["("]).is_some() {
            let expr = self.or()?;
            self.take(&[")"]).ok_or_else(|| self.wrong("a closing parenthesis is expected"))?;
            expr
        } else {
            self.primitive()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn primitive(&mut self) -> Result<Expr, FilterError> {
        let protocol = self.take(&["tcp", "udp", "sctp"]).map(|word| match word {
            "tcp" => TCP,
            "udp" => UDP,
            _ => SCTP,
        });
        let way = match self.take(&["src", "dst"]) {
            Some("src") => Way::Source,
            Some(_) => Way::Destination,
            None => Way::Either,
        };
        if let Some(kind) = self.take(&["port", "portrange"]) {
            let (first, last) = self.ports(kind == "portrange")?;
            return Ok(Expr::Ports(way, protocol, first, last));
        }
        match (protocol, way) {
            (Some(protocol), Way::Either) => return Ok(Expr::Protocol(protocol)),
            (Some(_), _) => return Err(self.wrong("port or portrange is expected")),
            (None, _) => {}
        }
        if let Some(kind) = self.take(&["host", "net"]) {
            let (ip, bits) = self.network(kind == "net")?;
            return Ok(Expr::Net(way, ip, bits));
        }
        if way != Way::Either {
            return Err(self.wrong("host, net, port or portrange is expected"));
        }
        match self.take(&["ip", "ip6", "arp", "icmp", "icmp6"]) {
            Some("ip") => Ok(Expr::Ip),
            Some("ip6") => Ok(Expr::Ip6),
            Some("arp") => Ok(Expr::Arp),
            Some("icmp") => Ok(Expr::And(Box::new(Expr::Ip), Box::new(Expr::Protocol(ICMP)))),
            Some(_) => Ok(Expr::And(Box::new(Expr::Ip6), Box::new(Expr::Protocol(ICMP6)))),
            None => Err(self.wrong(match self.peek() {
                Some(word) => format!("{word:?} is not known"),
                None => "the filter ends too early".to_owned(),
            })),
        }
    }

    fn ports(&mut self, range: bool) -> Result<(u16, u16), FilterError> {
        let word = self.peek().unwrap_or_default();
        let found = match word.split_once('-') {
            Some((first, last)) if range => first.parse().ok().zip(last.parse().ok()),
            None if !range => word.parse().ok().map(|port| (port, port)),
            _ => None,
        };
        match found.filter(|(first, last)| first <= last) {
            Some(ports) => {
                self.next += 1;
                Ok(ports)
            }
            None => Err(self.wrong(if range { "two ports are expected, as in 1-1024" } else { "a port is expected, 0 to 65535" })),
        }
    }

    fn network(&mut self, net: bool) -> Result<(IpAddr, u8), FilterError> {
        let word = self.peek().unwrap_or_default();
        let (address, bits) = match word.split_once('/') {
            Some((address, bits)) if net => (address, Some(bits)),
            None => (word, None),
            Some(_) => return Err(self.wrong("an address is expected; a network comes after net")),
        };
        let ip: IpAddr = address.parse().map_err(|_| self.wrong("an address is expected"))?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most).ok_or_else(|| self.wrong(format!("a prefix of 0 to {most} is expected")))?;
        self.next += 1;
        Ok((ip, bits))
    }
}
