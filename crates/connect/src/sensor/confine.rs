//! What a sensor gives up once its sockets and files are open: rights, other users' identity, writing anywhere but in its own
//! folders, and starting programs.
//!
//! Linux keeps rights and Landlock's rules per thread: this runs before any thread is started, and threads inherit it.
//! All `unsafe` of the sensor is in this file: system calls with numbers, and structures that live until they return.

use std::io::{Error, Result};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// CAP_DAC_READ_SEARCH: to open a log that was rotated.
const READ_ALL: u32 = 1 << 2;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Landlock's rights of ABI 1: executing (1), writing a file (2), reading (4, 8), and from 16 on removing and making.
const ACCESS_ALL: u64 = (1 << 13) - 1;
const WRITE_FILE: u64 = 2;
const READ_FILE: u64 = 4;
const READ_FOLDER: u64 = 8;
const ACCESS_READ: u64 = READ_FILE | READ_FOLDER;
const RULE_PATH_BENEATH: i32 = 1;

/// What was given up, for people.
#[derive(Debug, Default)]
pub struct Confined {
    pub user: Option<String>,
    pub rights: &'static str,
    pub landlock: bool,
}

/// Gives up what a sensor does not need. `user` is whom to become, `reads_logs` keeps the right to read any file, and only
/// below `writable` may anything be written from now on.
pub fn confine(user: Option<&str>, reads_logs: bool, writable: &[&Path]) -> Result<Confined> {
    let mut confined = Confined { rights: if reads_logs { "CAP_DAC_READ_SEARCH" } else { "none" }, ..Confined::default() };
    let privileged = has_rights()?;
    // SAFETY: numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } < 0 {
        return Err(Error::last_os_error());
    }
    confined.landlock = landlock(writable)?;
    if let Some(name) = user {
        become_user(name)?;
        confined.user = Some(name.to_owned());
    }
    if privileged {
        set_rights(if reads_logs { READ_ALL } else { 0 })?;
    } else {
        confined.rights = "none";
    }
    Ok(confined)
}

/// Number and group of a user.
pub fn user_id(name: &str) -> Result<(u32, u32)> {
    let unknown = || Error::new(std::io::ErrorKind::NotFound, format!("there is no user {name}"));
    let text = std::ffi::CString::new(name).map_err(|_| unknown())?;
    // SAFETY: the text ends with a zero; the record that comes back is read before anything else asks for one, and there is
    // only this thread yet.
    unsafe {
        let entry = libc::getpwnam(text.as_ptr());
        if entry.is_null() { Err(unknown()) } else { Ok(((*entry).pw_uid, (*entry).pw_gid)) }
    }
}

fn become_user(name: &str) -> Result<()> {
    let (user, group) = user_id(name)?;
    // SAFETY: numbers only, and an empty list of groups.
    unsafe {
        // Rights that stay are chosen afterwards.
        if libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0
            || libc::setgroups(0, std::ptr::null()) < 0
            || libc::setresgid(group, group, group) < 0
            || libc::setresuid(user, user, user) < 0
        {
            return Err(Error::last_os_error());
        }
    }
    Ok(())
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn has_rights() -> Result<bool> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapabilityData::default(); 2];
    // SAFETY: version 3 fills two records.
    if unsafe { libc::syscall(libc::SYS_capget, &mut header, data.as_mut_ptr()) } < 0 {
        return Err(Error::last_os_error());
    }
    Ok(data.iter().any(|d| d.permitted != 0))
}

fn set_rights(rights: u32) -> Result<()> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let data = [CapabilityData { effective: rights, permitted: rights, inheritable: 0 }, CapabilityData::default()];
    // SAFETY: version 3 reads two records.
    if unsafe { libc::syscall(libc::SYS_capset, &mut header, data.as_ptr()) } < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

#[repr(C)]
struct RulesetAttribute {
    handled: u64,
}

#[repr(C, packed)]
struct PathAttribute {
    allowed: u64,
    parent: i32,
}

/// Reading stays allowed everywhere, writing below these folders. False where the kernel has no Landlock.
fn landlock(writable: &[&Path]) -> Result<bool> {
    let attribute = RulesetAttribute { handled: ACCESS_ALL };
    // SAFETY: the structure is read for the length that is given; the descriptor is owned by nobody else.
    let ruleset = unsafe {
        let fd = libc::syscall(libc::SYS_landlock_create_ruleset, &attribute, size_of::<RulesetAttribute>(), 0u32);
        if fd < 0 {
            let error = Error::last_os_error();
            return if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EOPNOTSUPP)) { Ok(false) } else { Err(error) };
        }
        OwnedFd::from_raw_fd(fd as i32)
    };
    allow(&ruleset, Path::new("/"), ACCESS_READ)?;
    // The resolver and the C library write here or open these for both.
    if Path::new("/dev/null").exists() {
        allow(&ruleset, Path::new("/dev/null"), READ_FILE | WRITE_FILE)?;
    }
    for dir in writable {
        allow(&ruleset, dir, ACCESS_ALL & !1)?;
    }
    // SAFETY: numbers only.
    if unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0u32) } < 0 {
        return Err(Error::last_os_error());
    }
    Ok(true)
}

fn allow(ruleset: &OwnedFd, path: &Path, allowed: u64) -> Result<()> {
    let parent = std::fs::File::open(path)?;
    let rule = PathAttribute { allowed, parent: parent.as_raw_fd() };
    // SAFETY: the structure and the descriptor in it live until the call returns.
    if unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), RULE_PATH_BENEATH, &rule, 0u32) } < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Gives a folder that this process made to the user it will become.
pub fn give(path: &Path, user: &str) -> Result<()> {
    let (user, group) = user_id(user)?;
    std::os::unix::fs::chown(path, Some(user), Some(group))?;
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        std::os::unix::fs::chown(&path, Some(user), Some(group))?;
    }
    Ok(())
}
