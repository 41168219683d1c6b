//! A packet socket with TPACKET_V3: blocks that the kernel fills and we read where they are.
//!
//! This file holds all `unsafe` of the capture. What it rests on: the mapping lives as long as [`Ring`], has the length it
//! was made with, and is shared with nobody but the kernel. A block belongs to us from the moment its status word says
//! TP_STATUS_USER (read with acquire order) until we write TP_STATUS_KERNEL there (release order); only between those is it
//! a slice. Everything inside a block is read from that slice with checked offsets, so a lying kernel could show wrong
//! packets and no more. Frames that are handed out borrow from the call, so none outlives its block.

use super::{Capture, CaptureError, Counts, Filter, Frame, Link, Options, RING_BYTES_MAX, RING_BYTES_MIN};
use event::Timestamp;
use std::ffi::CString;
use std::io::{Error, Result as IoResult};
use std::mem::{offset_of, size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const BLOCK_BYTES: usize = 1 << 20;
/// V3 packs frames of any length; this only has to divide the block.
const FRAME_BYTES: usize = 2_048;
/// A block that is not full is handed over after so long.
const RETIRE_MS: u32 = 40;
/// Room before each frame for the VLAN tag that the kernel took out.
const TAG_BYTES: usize = 4;
/// ARPHRD_RAWIP, of modems.
const RAW_IP: u16 = 519;
/// Two MAC addresses.
const MAC_BYTES: usize = 12;

const STATUS_AT: usize = offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, block_status);
const PACKETS_AT: usize = offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, num_pkts);
const FIRST_AT: usize = offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt);
/// The address of the link layer follows the header, aligned.
const ADDRESS_AT: usize = size_of::<libc::tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);

pub struct Ring {
    name: String,
    socket: OwnedFd,
    map: *mut u8,
    blocks: usize,
    next: usize,
    link: Link,
    /// On the loopback interface every packet is seen going out and coming in.
    loopback: bool,
    number: u64,
    counts: Counts,
}

// SAFETY: the mapping is reached through `&mut self` only, and neither it nor the socket belongs to a thread.
unsafe impl Send for Ring {}

impl Ring {
    pub fn open(options: &Options) -> Result<Self, CaptureError> {
        let name = options.interface.clone();
        let failed = |what| {
            let interface = name.clone();
            move |source: Error| match source.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => CaptureError::NotAllowed(interface),
                _ => CaptureError::Io { interface, what, source },
            }
        };
        let index = index_of(&name).ok_or_else(|| CaptureError::NoInterface(name.clone()))?;
        // No protocol yet: nothing may come in before the filter is set.
        // SAFETY: the call takes numbers only, and the descriptor it gives is owned by nobody else.
        let socket = unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            if fd < 0 {
                return Err(failed("opening a packet socket")(Error::last_os_error()));
            }
            OwnedFd::from_raw_fd(fd)
        };
        let (link, loopback) = link_of(&socket, &name).map_err(failed("asking for the kind of link"))?.map_err(|kind| CaptureError::Link(name.clone(), kind))?;
        let filter = Filter::compile(&options.filter, link, options.snaplen)?;
        attach(&socket, &filter).map_err(failed("setting the filter"))?;
        let blocks = options.ring_bytes.clamp(RING_BYTES_MIN, RING_BYTES_MAX) / BLOCK_BYTES;
        let map = make_ring(&socket, blocks).map_err(failed("making the ring"))?;
        let ring = Self { name: name.clone(), socket, map, blocks, next: 0, link, loopback, number: 0, counts: Counts::default() };
        bind(&ring.socket, index).map_err(failed("binding to the interface"))?;
        if options.promiscuous && !loopback {
            let request = libc::packet_mreq { mr_ifindex: index, mr_type: libc::PACKET_MR_PROMISC as u16, mr_alen: 0, mr_address: [0; 8] };
            set(&ring.socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request).map_err(failed("switching to promiscuous mode"))?;
        }
        Ok(ring)
    }

    pub fn link(&self) -> Link {
        self.link
    }

    /// Whether the next block is ours.
    fn is_ready(&self) -> bool {
        // SAFETY: `next` is below `blocks`, the status word is aligned and within the block, and both sides use it
        // atomically.
        let status = unsafe { AtomicU32::from_ptr(self.map.add(self.next * BLOCK_BYTES + STATUS_AT).cast()) };
        status.load(Ordering::Acquire) & libc::TP_STATUS_USER != 0
    }

    fn block(&mut self, visit: &mut dyn FnMut(Frame<'_>)) {
        // SAFETY: the block lies within the mapping, and its status says that it is ours until it is given back below;
        // `&mut self` keeps a second slice of it from being made.
        let block = unsafe { std::slice::from_raw_parts_mut(self.map.add(self.next * BLOCK_BYTES), BLOCK_BYTES) };
        let (count, mut at) = (word(block, PACKETS_AT), word(block, FIRST_AT) as usize);
        for _ in 0..count {
            let Some((frame, next)) = packet(block, at, self.link, self.loopback) else { break };
            if let Some(mut frame) = frame {
                self.number += 1;
                frame.number = self.number;
                self.counts.received += 1;
                self.counts.bytes += u64::from(frame.wire_len);
                visit(frame);
            }
            if next == 0 {
                break;
            }
            at += next;
        }
        // SAFETY: as in `is_ready`; the slice is not used any more.
        let status = unsafe { AtomicU32::from_ptr(self.map.add(self.next * BLOCK_BYTES + STATUS_AT).cast()) };
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.blocks;
    }

    /// Waits until a block is ready or the time is over.
    fn wait(&self, wait: Duration) -> Result<(), CaptureError> {
        let mut poll = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd is given and one is said to be.
        let ready = unsafe { libc::poll(&mut poll, 1, wait.as_millis().min(60_000) as i32) };
        if ready < 0 {
            let source = Error::last_os_error();
            return if source.kind() == std::io::ErrorKind::Interrupted { Ok(()) } else { Err(self.failed("waiting", source)) };
        }
        if poll.revents & libc::POLLERR != 0 {
            let code: i32 = get(&self.socket, libc::SOL_SOCKET, libc::SO_ERROR).map_err(|source| self.failed("asking for the error", source))?;
            return match code {
                0 => Ok(()),
                libc::ENETDOWN if index_of(&self.name).is_none() => Err(CaptureError::Gone(self.name.clone())),
                libc::ENETDOWN => Err(CaptureError::Down(self.name.clone())),
                libc::ENODEV | libc::ENXIO => Err(CaptureError::Gone(self.name.clone())),
                code => Err(self.failed("receiving", Error::from_raw_os_error(code))),
            };
        }
        Ok(())
    }

    fn failed(&self, what: &'static str, source: Error) -> CaptureError {
        CaptureError::Io { interface: self.name.clone(), what, source }
    }
}

impl Capture for Ring {
    fn read(&mut self, wait: Duration, visit: &mut dyn FnMut(Frame<'_>)) -> Result<bool, CaptureError> {
        if !self.is_ready() {
            self.wait(wait)?;
        }
        // At most one round, so that the caller's clock and signals have their turn under any load.
        for _ in 0..self.blocks {
            if !self.is_ready() {
                break;
            }
            self.block(visit);
        }
        Ok(true)
    }

    /// The kernel's counters begin anew whenever they are asked for; here they are summed up.
    fn counts(&mut self) -> Counts {
        if let Ok(stats) = get::<libc::tpacket_stats_v3>(&self.socket, libc::SOL_PACKET, libc::PACKET_STATISTICS) {
            self.counts.dropped += u64::from(stats.tp_drops);
            self.counts.frozen += u64::from(stats.tp_freeze_q_cnt);
        }
        self.counts
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the address and length are those of the mapping made in `open`, and nothing borrows from it.
        unsafe { libc::munmap(self.map.cast(), self.blocks * BLOCK_BYTES) };
    }
}

fn word(block: &[u8], at: usize) -> u32 {
    block.get(at..at + 4).map_or(0, |bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

fn half(block: &[u8], at: usize) -> u16 {
    block.get(at..at + 2).map_or(0, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]))
}

/// The packet at this place of a block, if it is wanted, and how far it is to the next. None if it does not fit the block.
fn packet(block: &mut [u8], at: usize, link: Link, loopback: bool) -> Option<(Option<Frame<'_>>, usize)> {
    let header = |field: usize| at + field;
    let next = word(block, header(offset_of!(libc::tpacket3_hdr, tp_next_offset))) as usize;
    let (secs, nanos) = (word(block, header(offset_of!(libc::tpacket3_hdr, tp_sec))), word(block, header(offset_of!(libc::tpacket3_hdr, tp_nsec))));
    let kept = word(block, header(offset_of!(libc::tpacket3_hdr, tp_snaplen))) as usize;
    let mut wire_len = word(block, header(offset_of!(libc::tpacket3_hdr, tp_len)));
    let status = word(block, header(offset_of!(libc::tpacket3_hdr, tp_status)));
    let mac = usize::from(half(block, header(offset_of!(libc::tpacket3_hdr, tp_mac))));
    let tag_at = header(offset_of!(libc::tpacket3_hdr, hv1));
    let tag = word(block, tag_at + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci)) as u16;
    let tag_kind = half(block, tag_at + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid));
    if loopback && *block.get(at + ADDRESS_AT + offset_of!(libc::sockaddr_ll, sll_pkttype))? == libc::PACKET_OUTGOING {
        return Some((None, next));
    }
    let (mut begin, end) = (at.checked_add(mac)?, at.checked_add(mac)?.checked_add(kept)?);
    if end > block.len() {
        return None;
    }
    if link == Link::ETHERNET && status & libc::TP_STATUS_VLAN_VALID != 0 && kept >= MAC_BYTES && mac >= TAG_BYTES {
        let kind = if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 { tag_kind } else { 0x8100 };
        block.copy_within(begin..begin + MAC_BYTES, begin - TAG_BYTES);
        begin -= TAG_BYTES;
        block[begin + MAC_BYTES..begin + MAC_BYTES + 2].copy_from_slice(&kind.to_be_bytes());
        block[begin + MAC_BYTES + 2..begin + MAC_BYTES + 4].copy_from_slice(&tag.to_be_bytes());
        wire_len += TAG_BYTES as u32;
    }
    let time = Timestamp(i64::from(secs) * 1_000_000 + i64::from(nanos / 1_000));
    Some((Some(Frame { time, link, bytes: &block[begin..end], wire_len, number: 0 }), next))
}

fn index_of(name: &str) -> Option<i32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the text ends with a zero.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index > 0).then_some(index as i32)
}

/// The kind of link, and whether it is the loopback; or the number of a kind that is not read.
fn link_of(socket: &OwnedFd, name: &str) -> IoResult<Result<(Link, bool), u16>> {
    // SAFETY: zeros are a valid ifreq; the name is copied with a zero left at its end; the kernel fills the address.
    let kind = unsafe {
        let mut request: libc::ifreq = zeroed();
        for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR, &mut request) < 0 {
            return Err(Error::last_os_error());
        }
        request.ifr_ifru.ifru_hwaddr.sa_family
    };
    Ok(match kind {
        libc::ARPHRD_ETHER => Ok((Link::ETHERNET, false)),
        libc::ARPHRD_LOOPBACK => Ok((Link::ETHERNET, true)),
        // Tunnels (tun, WireGuard, IP in IP) deliver the IP packet itself.
        libc::ARPHRD_NONE | RAW_IP | libc::ARPHRD_TUNNEL | libc::ARPHRD_TUNNEL6 | libc::ARPHRD_SIT => Ok((Link::RAW, false)),
        other => Err(other),
    })
}

fn set<T>(socket: &OwnedFd, level: i32, option: i32, value: &T) -> IoResult<()> {
    // SAFETY: the value is read, for its own length.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Only for numbers and structures of numbers, of which every pattern of bits is valid.
fn get<T: Copy>(socket: &OwnedFd, level: i32, option: i32) -> IoResult<T> {
    // SAFETY: the kernel writes at most the length it is given, and zeros stand where it writes less.
    unsafe {
        let mut value: T = zeroed();
        let mut len = size_of::<T>() as libc::socklen_t;
        if libc::getsockopt(socket.as_raw_fd(), level, option, std::ptr::from_mut(&mut value).cast(), &mut len) < 0 {
            return Err(Error::last_os_error());
        }
        Ok(value)
    }
}

fn attach(socket: &OwnedFd, filter: &Filter) -> IoResult<()> {
    let mut program: Vec<libc::sock_filter> = filter.program().iter().map(|i| libc::sock_filter { code: i.code, jt: i.yes, jf: i.no, k: i.k }).collect();
    // The kernel copies the program before the call returns.
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

fn make_ring(socket: &OwnedFd, blocks: usize) -> IoResult<*mut u8> {
    set(socket, libc::SOL_PACKET, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as i32))?;
    set(socket, libc::SOL_PACKET, libc::PACKET_RESERVE, &(TAG_BYTES as u32))?;
    let request = libc::tpacket_req3 {
        tp_block_size: BLOCK_BYTES as u32,
        tp_block_nr: blocks as u32,
        tp_frame_size: FRAME_BYTES as u32,
        tp_frame_nr: (blocks * (BLOCK_BYTES / FRAME_BYTES)) as u32,
        tp_retire_blk_tov: RETIRE_MS,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    set(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
    // SAFETY: a new mapping at an address of the kernel's choice, of the ring's length.
    let map = unsafe { libc::mmap(std::ptr::null_mut(), blocks * BLOCK_BYTES, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, socket.as_raw_fd(), 0) };
    if map == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(map.cast()) }
}

fn bind(socket: &OwnedFd, index: i32) -> IoResult<()> {
    // SAFETY: zeros are a valid address, and its true length is given.
    let result = unsafe {
        let mut address: libc::sockaddr_ll = zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index;
        libc::bind(socket.as_raw_fd(), std::ptr::from_ref(&address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t)
    };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}
