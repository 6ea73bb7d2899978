//! Why a packet made no event.

/// Either "not ours", which costs nothing and is not counted, or "could not be judged", which is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Skip {
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// IP, but not TCP.
    NotTcp,
    /// The port is not watched, and the payload does not begin an SMB message.
    OtherPort,
    /// The destination is in one of the few ranges compared before any map look-up.
    Lan,
    /// The source is outside `sources`.
    Source,
    /// The destination is inside `reserved`.
    Reserved,
    /// The destination is inside a live exception.
    Exception,
    /// The packet ends inside a header that decides.
    Truncated,
    /// A version, header length or data offset that no stack would send.
    BadHeader,
    /// A fragment other than the first: it carries no ports.
    LaterFragment,
    /// More inline VLAN tags than [`crate::parse::ethernet::MAX_TAGS`].
    TooManyTags,
    /// More IPv6 extension headers than [`crate::parse::ipv6::MAX_EXTENSIONS`].
    TooManyExtensions,
    /// The flow table would not take the flow; its record was sent all the same.
    FlowTable,
}

impl Skip {
    /// The reasons that are counted, in the order of their counters.
    pub const COUNTED: [Self; 7] = [
        Self::Exception,
        Self::Truncated,
        Self::BadHeader,
        Self::LaterFragment,
        Self::TooManyTags,
        Self::TooManyExtensions,
        Self::FlowTable,
    ];

    /// The place of this reason in [`Self::COUNTED`], or none where it is simply not ours.
    #[inline(always)]
    pub const fn counter(self) -> Option<usize> {
        match self {
            Self::NotIp | Self::NotTcp | Self::OtherPort | Self::Lan | Self::Source | Self::Reserved => None,
            Self::Exception => Some(0),
            Self::Truncated => Some(1),
            Self::BadHeader => Some(2),
            Self::LaterFragment => Some(3),
            Self::TooManyTags => Some(4),
            Self::TooManyExtensions => Some(5),
            Self::FlowTable => Some(6),
        }
    }

    /// The reason in words, as metrics and the summary name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::NotTcp => "not_tcp",
            Self::OtherPort => "other_port",
            Self::Lan => "lan",
            Self::Source => "source",
            Self::Reserved => "reserved",
            Self::Exception => "exception",
            Self::Truncated => "truncated",
            Self::BadHeader => "bad_header",
            Self::LaterFragment => "later_fragment",
            Self::TooManyTags => "too_many_tags",
            Self::TooManyExtensions => "too_many_extensions",
            Self::FlowTable => "flow_table",
        }
    }
}
