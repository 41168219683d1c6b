use crate::actor::Moves;
use crate::address::ACCESS;
use crate::clock;
use crate::random::Random;
use event::Timestamp;

/// One line: everything but the time.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub host: &'static str,
    /// `sshd[1234]`, `sudo`.
    pub tag: String,
    pub message: String,
}

impl Line {
    pub fn write(&self, time: Timestamp) -> String {
        format!("{} {} {}: {}", clock::rfc3164(time), self.host, self.tag, self.message)
    }
}

pub(crate) const HOSTS: [&str; 7] = ["bastion-01", "web-01", "web-02", "db-01", "ci-01", "mail-01", "files-01"];
const NAMES: [&str; 12] = ["alice", "ben", "daniel", "farid", "grace", "hugo", "kavya", "liam", "rania", "samuel", "viktor", "yuna"];
const COMMANDS: [&str; 8] = [
    "/usr/bin/systemctl restart nginx",
    "/usr/bin/apt-get update",
    "/usr/bin/journalctl -u shop -n 200",
    "/usr/bin/tail -n 100 /var/log/nginx/error.log",
    "/usr/bin/systemctl status postgresql",
    "/usr/bin/docker ps",
    "/usr/bin/apt-get upgrade -y",
    "/usr/sbin/nginx -t",
];

/// Somebody with an account on the hosts.
pub(crate) struct Login {
    pub name: &'static str,
    pub uid: i64,
    place: usize,
    pub address: String,
    key: String,
    first_hour: i64,
}

pub(crate) struct Fleet {
    pub logins: Vec<Login>,
}

impl Fleet {
    pub fn new(random: &mut Random) -> Self {
        let login = |(i, name): (usize, &&'static str)| {
            let place = random.below(ACCESS.len() as u64) as usize;
            Login {
                name,
                uid: 1000 + i as i64,
                place,
                address: ACCESS[place].address(random).to_string(),
                key: random.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 43),
                first_hour: random.between(6, 10),
            }
        };
        Self { logins: NAMES.iter().enumerate().map(login).collect() }
    }

    /// Somebody who is likely to be at work now.
    fn at_work(&self, time: Timestamp, random: &mut Random) -> &Login {
        const TRIES: usize = 4;
        for _ in 0..TRIES {
            let login = random.pick(&self.logins);
            let place = &ACCESS[login.place];
            if place.is_weekday(time) && (login.first_hour..login.first_hour + 10).contains(&place.hour(time)) {
                return login;
            }
        }
        random.pick(&self.logins)
    }
}

pub(crate) fn sshd(host: &'static str, pid: i64, message: String) -> Line {
    Line { host, tag: format!("sshd[{pid}]"), message }
}

/// What somebody, or cron, does on a host from now on.
pub(crate) fn organic(time: Timestamp, fleet: &Fleet, random: &mut Random) -> Moves<Line> {
    match random.below(100) {
        0..50 => session(time, fleet, random),
        50..85 => cron(random),
        85..95 => deployment(random),
        _ => background_noise(random),
    }
}

/// A login with a key (or a password, sometimes mistyped), some sudo, and the logout.
fn session(time: Timestamp, fleet: &Fleet, random: &mut Random) -> Moves<Line> {
    let login = fleet.at_work(time, random);
    let (name, uid, address) = (login.name, login.uid, &login.address);
    let host = *random.weighted(&[(HOSTS[0], 6), (HOSTS[1], 2), (HOSTS[2], 2), (HOSTS[3], 1), (HOSTS[4], 1)]);
    let (pid, port) = (random.between(2_000, 60_000), random.between(32_768, 60_999));
    let mut moves = Moves::new();
    let by_password = random.chance(0.15);
    if by_password && random.chance(0.3) {
        moves.push_back((500_000, sshd(host, pid, format!("Failed password for {name} from {address} port {port} ssh2"))));
    }
    let accepted = if by_password {
        format!("Accepted password for {name} from {address} port {port} ssh2")
    } else {
        format!("Accepted publickey for {name} from {address} port {port} ssh2: ED25519 SHA256:{}", login.key)
    };
    moves.push_back((3_000_000, sshd(host, pid, accepted)));
    moves.push_back((20_000, sshd(host, pid, format!("pam_unix(sshd:session): session opened for user {name}(uid={uid}) by (uid=0)"))));
    let number = random.between(100, 9_999);
    moves.push_back((15_000, Line { host, tag: "systemd-logind[612]".into(), message: format!("New session {number} of user {name}.") }));
    for _ in 0..random.below(4) {
        sudo(host, name, uid, random.word(&COMMANDS), random.wait_micros(25.0), &mut moves);
    }
    let bye = random.wait_micros(90.0);
    moves.push_back((bye, sshd(host, pid, format!("Received disconnect from {address} port {port}:11: disconnected by user"))));
    moves.push_back((1_000, sshd(host, pid, format!("Disconnected from user {name} {address} port {port}"))));
    moves.push_back((9_000, sshd(host, pid, format!("pam_unix(sshd:session): session closed for user {name}"))));
    moves
}

/// The three lines of one command through sudo.
pub(crate) fn sudo(host: &'static str, name: &str, uid: i64, command: &str, wait: i64, moves: &mut Moves<Line>) {
    let line = |message: String| Line { host, tag: "sudo".to_owned(), message };
    let asked = format!("   {name} : TTY=pts/0 ; PWD=/home/{name} ; USER=root ; COMMAND={command}");
    moves.push_back((wait, line(asked)));
    moves.push_back((4_000, line(format!("pam_unix(sudo:session): session opened for user root(uid=0) by {name}(uid={uid})"))));
    moves.push_back((900_000, line("pam_unix(sudo:session): session closed for user root".to_owned())));
}

fn cron(random: &mut Random) -> Moves<Line> {
    let host = random.word(&HOSTS);
    let tag = format!("CRON[{}]", random.between(2_000, 60_000));
    let user = *random.weighted(&[("root", 3), ("www-data", 1)]);
    let uid = if user == "root" { 0 } else { 33 };
    let opened = format!("pam_unix(cron:session): session opened for user {user}(uid={uid}) by (uid=0)");
    let closed = format!("pam_unix(cron:session): session closed for user {user}");
    Moves::from([(1_000, Line { host, tag: tag.clone(), message: opened }), (random.wait_micros(1.5), Line { host, tag, message: closed })])
}

/// The deployment user's key, from the CI host.
fn deployment(random: &mut Random) -> Moves<Line> {
    let host = random.word(&HOSTS[1..3]);
    let (pid, port) = (random.between(2_000, 60_000), random.between(32_768, 60_999));
    let accepted = format!(
        "Accepted publickey for deploy from 10.0.4.15 port {port} ssh2: ED25519 SHA256:q1ZtT0dJmY6mXx3kPpVtRk0w3s7mC2aHnBvU9fLjE4g"
    );
    let mut moves = Moves::from([
        (1_000, sshd(host, pid, accepted)),
        (15_000, sshd(host, pid, "pam_unix(sshd:session): session opened for user deploy(uid=990) by (uid=0)".to_owned())),
    ]);
    sudo(host, "deploy", 990, "/usr/bin/systemctl reload shop", 2_000_000, &mut moves);
    moves.push_back((5_000_000, sshd(host, pid, "pam_unix(sshd:session): session closed for user deploy".to_owned())));
    moves
}

/// What every host on the internet sees from scanners that never try a password.
fn background_noise(random: &mut Random) -> Moves<Line> {
    let host = HOSTS[0];
    let address = random.pick(ACCESS).address(random);
    let (pid, port) = (random.between(2_000, 60_000), random.between(32_768, 60_999));
    let message = match random.below(3) {
        0 => format!("Connection closed by {address} port {port}"),
        1 => format!("banner exchange: Connection from {address} port {port}: invalid format"),
        _ => format!("Connection reset by {address} port {port} [preauth]"),
    };
    Moves::from([(1_000, sshd(host, pid, message))])
}
