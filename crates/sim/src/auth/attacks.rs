//! Attacks on the hosts.

use super::fleet::{Fleet, HOSTS, Line, sshd, sudo};
use crate::actor::{Attack, Moves};
use crate::address;
use crate::random::Random;
use event::{Entity, EntityKind};

pub(crate) static ATTACKS: &[Attack] = &[
    Attack { name: "ssh_brute_force", techniques: &["T1110.001"] },
    Attack { name: "password_spraying", techniques: &["T1110.003"] },
    Attack { name: "success_after_failures", techniques: &["T1110.001", "T1078.003"] },
    Attack { name: "sudo_abuse", techniques: &["T1548.003"] },
    Attack { name: "user_creation", techniques: &["T1136.001", "T1098"] },
];

/// Names that nobody here has.
const GUESSES: [&str; 24] = [
    "admin", "test", "oracle", "postgres", "ubuntu", "git", "user", "guest", "ftpuser", "hadoop", "nagios", "jenkins",
    "pi", "www", "mysql", "support", "minecraft", "steam", "tomcat", "zabbix", "ansible", "vagrant", "es", "dev",
];

/// The attack at this place of [`ATTACKS`].
pub(crate) fn attack(index: usize, fleet: &Fleet, random: &mut Random) -> (Moves<Line>, Entity) {
    match ATTACKS[index].name {
        "ssh_brute_force" => brute_force(random),
        "password_spraying" => spraying(fleet, random),
        "success_after_failures" => success_after_failures(fleet, random),
        "sudo_abuse" => sudo_abuse(fleet, random),
        _ => user_creation(fleet, random),
    }
}

/// A host under fire and the address the fire comes from.
struct Target {
    host: &'static str,
    address: String,
}

impl Target {
    fn new(random: &mut Random) -> Self {
        let host = *random.weighted(&[(HOSTS[0], 5), (HOSTS[5], 2), (HOSTS[6], 1)]);
        Self { host, address: address::hostile(random).to_string() }
    }

    fn entity(&self) -> Entity {
        Entity::new(EntityKind::Ip, self.address.as_str())
    }

    /// A refused password for a user that exists, or (three lines) for one that does not.
    fn refuse(&self, user: &str, exists: bool, mean_secs: f64, moves: &mut Moves<Line>, random: &mut Random) {
        let (pid, port) = (random.between(2_000, 60_000), random.between(32_768, 60_999));
        let (host, address) = (self.host, &self.address);
        let wait = random.wait_micros(mean_secs);
        if exists {
            moves.push_back((wait, sshd(host, pid, format!("Failed password for {user} from {address} port {port} ssh2"))));
            return;
        }
        moves.push_back((wait, sshd(host, pid, format!("Invalid user {user} from {address} port {port}"))));
        let failed = format!("Failed password for invalid user {user} from {address} port {port} ssh2");
        moves.push_back((1_200_000, sshd(host, pid, failed)));
        let closed = format!("Connection closed by invalid user {user} {address} port {port} [preauth]");
        moves.push_back((300_000, sshd(host, pid, closed)));
    }

    fn let_in(&self, user: &str, uid: i64, moves: &mut Moves<Line>, random: &mut Random) {
        let (pid, port) = (random.between(2_000, 60_000), random.between(32_768, 60_999));
        let accepted = format!("Accepted password for {user} from {} port {port} ssh2", self.address);
        let opened = format!("pam_unix(sshd:session): session opened for user {user}(uid={uid}) by (uid=0)");
        moves.push_back((2_000_000, sshd(self.host, pid, accepted)));
        moves.push_back((15_000, sshd(self.host, pid, opened)));
    }
}

/// Guessed names first, then root again and again.
fn brute_force(random: &mut Random) -> (Moves<Line>, Entity) {
    let target = Target::new(random);
    let mut moves = Moves::new();
    for _ in 0..random.between(5, 9) {
        let user = random.word(&GUESSES);
        target.refuse(user, false, 2.0, &mut moves, random);
    }
    for _ in 0..random.between(14, 30) {
        target.refuse("root", true, 2.0, &mut moves, random);
    }
    (moves, target.entity())
}

/// One or two passwords for everybody, slowly.
fn spraying(fleet: &Fleet, random: &mut Random) -> (Moves<Line>, Entity) {
    let target = Target::new(random);
    let mut moves = Moves::new();
    for _ in 0..random.between(1, 2) {
        for login in &fleet.logins {
            target.refuse(login.name, true, 6.0, &mut moves, random);
        }
    }
    (moves, target.entity())
}

fn success_after_failures(fleet: &Fleet, random: &mut Random) -> (Moves<Line>, Entity) {
    let target = Target::new(random);
    let login = random.pick(&fleet.logins);
    let mut moves = Moves::new();
    for _ in 0..random.between(10, 18) {
        target.refuse(login.name, true, 3.0, &mut moves, random);
    }
    target.let_in(login.name, login.uid, &mut moves, random);
    sudo(target.host, login.name, login.uid, "/usr/bin/id", 8_000_000, &mut moves);
    (moves, target.entity())
}

/// A user without the right tries, is refused, and finds a way.
fn sudo_abuse(fleet: &Fleet, random: &mut Random) -> (Moves<Line>, Entity) {
    let (host, login) = (random.word(&HOSTS), random.pick(&fleet.logins));
    let (name, uid) = (login.name, login.uid);
    let line = |message: String| Line { host, tag: "sudo".to_owned(), message };
    let mut moves = Moves::new();
    for command in ["/usr/bin/su -", "/usr/bin/cat /etc/shadow", "/usr/bin/bash"] {
        let refused = format!("   {name} : user NOT in sudoers ; TTY=pts/1 ; PWD=/tmp ; USER=root ; COMMAND={command}");
        moves.push_back((random.wait_micros(6.0), line(refused)));
    }
    let failure = format!("pam_unix(sudo:auth): authentication failure; logname={name} uid={uid} euid=0 tty=/dev/pts/1 ruser={name} rhost=  user={name}");
    moves.push_back((random.wait_micros(5.0), line(failure)));
    let wrong = format!("   {name} : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/tmp ; USER=root ; COMMAND=/usr/bin/vi /etc/sudoers");
    moves.push_back((9_000_000, line(wrong)));
    sudo(host, name, uid, "/usr/bin/find /etc -exec /bin/sh -p ;", random.wait_micros(20.0), &mut moves);
    sudo(host, name, uid, "/usr/bin/cat /etc/shadow", random.wait_micros(10.0), &mut moves);
    (moves, Entity::new(EntityKind::User, name))
}

/// A way back in: a user of the intruder's own, with root's rights.
fn user_creation(fleet: &Fleet, random: &mut Random) -> (Moves<Line>, Entity) {
    let (host, login) = (random.word(&HOSTS), random.pick(&fleet.logins));
    let user = random.word(&["sysadm", "support1", "backupd", "nobody2", "postfixd"]);
    let pid = random.between(2_000, 60_000);
    let line = |program: &str, message: String| Line { host, tag: format!("{program}[{pid}]"), message };
    let mut moves = Moves::new();
    sudo(host, login.name, login.uid, &format!("/usr/sbin/useradd -m -s /bin/bash {user}"), 1_000_000, &mut moves);
    moves.push_back((20_000, line("useradd", format!("new group: name={user}, GID=1042"))));
    let made = format!("new user: name={user}, UID=1042, GID=1042, home=/home/{user}, shell=/bin/bash, from=/dev/pts/0");
    moves.push_back((9_000, line("useradd", made)));
    moves.push_back((6_000_000, line("passwd", format!("pam_unix(passwd:chauthtok): password changed for {user}"))));
    moves.push_back((8_000_000, line("usermod", format!("add '{user}' to group 'sudo'"))));
    moves.push_back((5_000, line("usermod", format!("add '{user}' to shadow group 'sudo'"))));
    (moves, Entity::new(EntityKind::User, login.name))
}
