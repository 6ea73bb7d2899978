//! Packets as the kernel holds them: direct reads of the linear part, helper calls for the rest.

use core::arch::asm;
use core::mem::MaybeUninit;

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::helpers::{bpf_get_socket_cookie, bpf_skb_load_bytes};
use aya_ebpf::programs::TcContext;
use smbwatch_ebpf::packet::PacketBytes;
use smbwatch_ebpf::parse::Link;
use smbwatch_ebpf::parse::ethernet::{self, Tags};

/// No chain of headers is longer, and an offset within it is one that the verifier takes.
const MAX_OFFSET: usize = (1 << 15) - 1;

/// Fields of `__sk_buff` that a classifier reads.
pub(crate) struct Skb<'a> {
    context: &'a TcContext,
    pub(crate) link: Link,
}

impl<'a> Skb<'a> {
    pub(crate) fn new(context: &'a TcContext, link: Link) -> Self {
        Self { context, link }
    }

    #[inline(always)]
    fn raw(&self) -> &'a __sk_buff {
        // SAFETY: the kernel hands a valid context to the program; the verifier rewrites each field access.
        unsafe { &*self.context.skb.skb }
    }

    /// Length of the packet, the part outside the linear buffer included.
    #[inline(always)]
    pub(crate) fn length(&self) -> u32 {
        self.raw().len
    }

    /// Index of the interface that the packet is at.
    #[inline(always)]
    pub(crate) fn interface(&self) -> u32 {
        self.raw().ifindex
    }

    /// The VLAN tags: the one that the hardware will insert, or has removed, and those in the frame.
    #[inline(always)]
    pub(crate) fn tags(&self) -> Tags {
        let inline = ethernet::tags(self.link, self.copied());
        let skb = self.raw();
        if skb.vlan_present == 0 {
            return inline;
        }
        #[expect(clippy::cast_possible_truncation, reason = "masked to twelve bits")]
        Tags { outer: (skb.vlan_tci & 0x0fff) as u16, inner: inline.outer }
    }

    /// Packets and bytes that the device will make of this packet, of which the last `payload` bytes are
    /// cut, each piece with a copy of all that comes before.
    #[inline(always)]
    pub(crate) fn on_the_wire(&self, payload: i64) -> (u32, u32) {
        let (length, segment) = (self.length(), self.raw().gso_size);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
        let payload = if payload > 0 && payload < i64::from(length) { payload as u32 } else { 0 };
        if segment == 0 || payload <= segment {
            return (1, length);
        }
        let packets = payload.div_ceil(segment);
        (packets, length + (packets - 1) * (length - payload))
    }

    /// The first eight of the last `rest` bytes, wherever they lie.
    #[inline(always)]
    pub(crate) fn last_bytes(&self, rest: i64) -> Option<u64> {
        let offset = i64::from(self.length()) - rest;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an offset into a packet"
        )]
        load(self.context, offset as u32).map(u64::from_be_bytes)
    }

    /// Cookie of the socket that sends the packet, or 0.
    #[inline(always)]
    pub(crate) fn cookie(&self) -> u64 {
        // SAFETY: a helper on a valid context.
        unsafe { bpf_get_socket_cookie(self.as_ptr().cast()) }
    }

    /// The context, for helpers.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *mut __sk_buff {
        self.context.skb.skb
    }

    /// Reads the linear part directly.
    #[inline(always)]
    pub(crate) fn direct(&self) -> Direct<'a> {
        let skb = self.raw();
        let start = opaque(skb.data as usize);
        Direct { context: self.context, start, at: start, end: opaque(skb.data_end as usize) }
    }

    /// Reads by helper calls, wherever the bytes lie.
    #[inline(always)]
    pub(crate) fn copied(&self) -> Copied<'a> {
        Copied { context: self.context, offset: 0, length: self.raw().len }
    }
}

/// The linear part of a packet.
#[derive(Clone, Copy)]
pub(crate) struct Direct<'a> {
    context: &'a TcContext,
    start: usize,
    at: usize,
    end: usize,
}

impl Direct<'_> {
    #[inline(always)]
    fn read<T: Copy>(self, offset: usize) -> Option<T> {
        let at = self.at + offset;
        if at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: the bytes lie inside the packet, as the verifier checks again. They may be unaligned
        // for T, which BPF loads on every supported architecture take; a read declared unaligned would
        // become one load for each byte.
        Some(unsafe { *(at as *const T) })
    }
}

impl PacketBytes for Direct<'_> {
    #[inline(always)]
    fn u8(self, offset: usize) -> Option<u8> {
        self.read(offset)
    }

    #[inline(always)]
    fn u16(self, offset: usize) -> Option<u16> {
        self.read(offset).map(u16::from_be)
    }

    #[inline(always)]
    fn u32(self, offset: usize) -> Option<u32> {
        self.read(offset).map(u32::from_be)
    }

    #[inline(always)]
    fn deep_u64(self) -> Option<u64> {
        match self.read(0) {
            Some(raw) => Some(u64::from_be(raw)),
            None if self.remaining() < 8 => None,
            #[expect(clippy::cast_possible_truncation, reason = "an offset into a packet")]
            None => load(self.context, (self.at - self.start) as u32).map(u64::from_be_bytes),
        }
    }

    #[inline(always)]
    fn advance(self, count: usize) -> Self {
        Self { at: self.at + count, ..self }
    }

    #[inline(always)]
    fn settle(self) -> Self {
        Self { at: self.start + opaque((self.at - self.start) & MAX_OFFSET), ..self }
    }

    #[inline(always)]
    fn remaining(self) -> i64 {
        // SAFETY: as in `Skb::raw`.
        let length = unsafe { (*self.context.skb.skb).len };
        i64::from(length) - (self.at - self.start) as i64
    }
}

/// A packet read by `bpf_skb_load_bytes`, one call for each read.
#[derive(Clone, Copy)]
pub(crate) struct Copied<'a> {
    context: &'a TcContext,
    offset: u32,
    length: u32,
}

impl Copied<'_> {
    #[inline(always)]
    fn read<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        #[expect(clippy::cast_possible_truncation, reason = "offsets into headers")]
        load(self.context, self.offset + offset as u32)
    }
}

impl PacketBytes for Copied<'_> {
    #[inline(always)]
    fn u8(self, offset: usize) -> Option<u8> {
        self.read(offset).map(u8::from_be_bytes)
    }

    #[inline(always)]
    fn u16(self, offset: usize) -> Option<u16> {
        self.read(offset).map(u16::from_be_bytes)
    }

    #[inline(always)]
    fn u32(self, offset: usize) -> Option<u32> {
        self.read(offset).map(u32::from_be_bytes)
    }

    #[inline(always)]
    fn deep_u64(self) -> Option<u64> {
        self.read(0).map(u64::from_be_bytes)
    }

    #[inline(always)]
    fn advance(self, count: usize) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "offsets into headers")]
        Self { offset: self.offset + count as u32, ..self }
    }

    #[inline(always)]
    fn settle(self) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "offsets into headers")]
        Self { offset: opaque(self.offset as usize & MAX_OFFSET) as u32, ..self }
    }

    #[inline(always)]
    fn remaining(self) -> i64 {
        i64::from(self.length) - i64::from(self.offset)
    }
}

/// Hides what the compiler knows of a number. It takes `data` for one below 2^32, and drops bounds checks and
/// masks that follow from others; the verifier knows better what a pointer is, and wants each of them.
#[inline(always)]
pub(crate) fn opaque(number: usize) -> usize {
    let copy: usize;
    // SAFETY: a move from register to register.
    unsafe {
        asm!("{copy} = {number}", copy = lateout(reg) copy, number = in(reg) number, options(pure, nomem, nostack))
    }
    copy
}

#[inline(always)]
fn load<const N: usize>(context: &TcContext, offset: u32) -> Option<[u8; N]> {
    let mut bytes = MaybeUninit::<[u8; N]>::uninit();
    // SAFETY: the helper writes N bytes to `bytes`, or fails.
    let result =
        unsafe { bpf_skb_load_bytes(context.skb.skb.cast(), offset, bytes.as_mut_ptr().cast(), N as u32) };
    // SAFETY: the helper has not failed.
    (result == 0).then(|| unsafe { bytes.assume_init() })
}
