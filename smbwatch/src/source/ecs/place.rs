//! Where one is in a document: the names that matter, whether nested or dotted.

/// A field that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Timestamp,
    DocumentId,
    Status,
    SourceIp,
    SourcePort,
    SourceBytes,
    SourcePackets,
    SourceUserName,
    SourceUserId,
    SourceProcessName,
    SourceProcessPid,
    SourceProcessExecutable,
    DestinationIp,
    DestinationPort,
    DestinationBytes,
    DestinationPackets,
    Transport,
    IanaNumber,
    Protocol,
    CommunityId,
    Dataset,
    StreamDataset,
    Module,
    Action,
    Outcome,
    EventType,
    EventId,
    Start,
    End,
    Duration,
    HostName,
    HostHostname,
    ProcessName,
    ProcessPid,
    ProcessExecutable,
    UserName,
    UserId,
    ObserverName,
    ObserverHostname,
    ObserverType,
    ObserverVendor,
    ObserverProduct,
    ZeekState,
}

/// How many fields there are.
pub(super) const FIELDS: usize = Field::ZeekState as usize + 1;

/// An object on the way to a field, a field, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Source,
    SourceUser,
    SourceProcess,
    Destination,
    Network,
    DataStream,
    Event,
    Host,
    Process,
    User,
    Observer,
    Zeek,
    ZeekConnection,
    /// What a search found.
    Hits,
    Field(Field),
    Elsewhere,
}

impl Place {
    /// Follows a key, which may be several names with dots between.
    pub(super) fn follow(self, key: &str) -> Self {
        key.split('.').fold(self, Self::step)
    }

    fn step(self, name: &str) -> Self {
        use Field as F;
        Self::Field(match (self, name) {
            // A document as a search finds it.
            (Self::Root, "_source" | "fields") => return Self::Root,
            (Self::Root, "hits") => return Self::Hits,
            (Self::Root, "source") => return Self::Source,
            (Self::Root, "destination") => return Self::Destination,
            (Self::Root, "network") => return Self::Network,
            (Self::Root, "data_stream") => return Self::DataStream,
            (Self::Root, "event") => return Self::Event,
            (Self::Root, "host") => return Self::Host,
            (Self::Root, "process") => return Self::Process,
            (Self::Root, "user") => return Self::User,
            (Self::Root, "observer") => return Self::Observer,
            (Self::Root, "zeek") => return Self::Zeek,
            (Self::Source, "user") => return Self::SourceUser,
            (Self::Source, "process") => return Self::SourceProcess,
            (Self::Zeek, "connection") => return Self::ZeekConnection,
            (Self::Root, "@timestamp") => F::Timestamp,
            (Self::Root, "_id") => F::DocumentId,
            (Self::Root, "status") => F::Status,
            (Self::Source, "ip") => F::SourceIp,
            (Self::Source, "port") => F::SourcePort,
            (Self::Source, "bytes") => F::SourceBytes,
            (Self::Source, "packets") => F::SourcePackets,
            (Self::SourceUser, "name") => F::SourceUserName,
            (Self::SourceUser, "id") => F::SourceUserId,
            (Self::SourceProcess, "name") => F::SourceProcessName,
            (Self::SourceProcess, "pid") => F::SourceProcessPid,
            (Self::SourceProcess, "executable") => F::SourceProcessExecutable,
            (Self::Destination, "ip") => F::DestinationIp,
            (Self::Destination, "port") => F::DestinationPort,
            (Self::Destination, "bytes") => F::DestinationBytes,
            (Self::Destination, "packets") => F::DestinationPackets,
            (Self::Network, "transport") => F::Transport,
            (Self::Network, "iana_number") => F::IanaNumber,
            (Self::Network, "protocol") => F::Protocol,
            (Self::Network, "community_id") => F::CommunityId,
            (Self::DataStream, "dataset") => F::StreamDataset,
            (Self::Event, "dataset") => F::Dataset,
            (Self::Event, "module") => F::Module,
            (Self::Event, "action") => F::Action,
            (Self::Event, "outcome") => F::Outcome,
            (Self::Event, "type") => F::EventType,
            (Self::Event, "id") => F::EventId,
            (Self::Event, "start") => F::Start,
            (Self::Event, "end") => F::End,
            (Self::Event, "duration") => F::Duration,
            (Self::Host, "name") => F::HostName,
            (Self::Host, "hostname") => F::HostHostname,
            (Self::Process, "name") => F::ProcessName,
            (Self::Process, "pid") => F::ProcessPid,
            (Self::Process, "executable") => F::ProcessExecutable,
            (Self::User, "name") => F::UserName,
            (Self::User, "id") => F::UserId,
            (Self::Observer, "name") => F::ObserverName,
            (Self::Observer, "hostname") => F::ObserverHostname,
            (Self::Observer, "type") => F::ObserverType,
            (Self::Observer, "vendor") => F::ObserverVendor,
            (Self::Observer, "product") => F::ObserverProduct,
            (Self::ZeekConnection, "state") => F::ZeekState,
            _ => return Self::Elsewhere,
        })
    }
}
