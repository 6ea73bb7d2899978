//! Exceptions as they are configured. The agent decides those of which the kernel knows too little: by port, source,
//! workload or time.

use std::net::IpAddr;
use std::path::PathBuf;

use glob::Pattern;
use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::file;

/// Whoever is meant by all that is said here may speak SMB to the Internet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Where to; none: anywhere.
    pub destination: Option<IpNet>,
    /// A file of prefixes where to, which is read again when it changes.
    pub destinations_file: Option<PathBuf>,
    /// To which ports; empty: any.
    pub ports: Vec<u16>,
    /// From where; none: anywhere.
    pub source: Option<IpNet>,
    /// Which workload; empty: any.
    pub workload: Workload,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Why.
    pub reason: String,
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// A workload by its names; what is missing may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// The container's name.
    pub container: Option<Pattern>,
    /// The container's image, with its tag.
    pub image: Option<Pattern>,
    /// The systemd unit.
    pub unit: Option<Pattern>,
    /// The executable's path.
    pub executable: Option<Pattern>,
}

impl Workload {
    /// Whether any may be meant.
    pub const fn is_any(&self) -> bool {
        self.container.is_none() && self.image.is_none() && self.unit.is_none() && self.executable.is_none()
    }
}

impl Exception {
    /// Checks an exception as it is written.
    pub(super) fn parse(written: file::Exception) -> Result<Self, String> {
        let reason = written.reason;
        let of = |message: String| format!("exception `{reason}`: {message}");
        let pattern = |key: &str, text: Option<String>| {
            let parse = |text: String| {
                Pattern::new(&text).map_err(|error| of(format!("`{key}`: `{text}`: {}", error.msg)))
            };
            text.map(parse).transpose()
        };
        let workload = Workload {
            container: pattern("container", written.container)?,
            image: pattern("image", written.image)?,
            unit: pattern("unit", written.unit)?,
            executable: pattern("executable", written.executable)?,
        };
        let expires = written.expires.map(|text| expiry(&text).map_err(&of)).transpose()?;
        let exception = Self {
            destination: written.destination.map(|prefix| prefix.0),
            destinations_file: written.destinations_file,
            ports: written.ports,
            source: written.source.map(|prefix| prefix.0),
            workload,
            owner: written.owner,
            reason: reason.clone(),
            expires,
        };
        if exception.is_all() {
            return Err(of(
                "it names neither a destination nor a source nor a workload, so nothing could match; name one".to_owned()
            ));
        }
        Ok(exception)
    }

    /// Whether the kernel can decide it: by the destination alone, for good.
    pub fn is_for_kernel(&self) -> Option<IpNet> {
        let alone = self.ports.is_empty()
            && self.source.is_none()
            && self.workload.is_any()
            && self.expires.is_none()
            && self.destinations_file.is_none();
        self.destination.filter(|_| alone)
    }

    /// Whether it has not expired at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    /// Whether addresses and port are meant, as far as no file decides.
    pub fn covers(&self, source: IpAddr, destination: IpAddr, port: u16) -> bool {
        self.destination.is_none_or(|prefix| prefix.contains(&destination))
            && self.source.is_none_or(|prefix| prefix.contains(&source))
            && (self.ports.is_empty() || self.ports.contains(&port))
    }

    fn is_all(&self) -> bool {
        self.destination.is_none()
            && self.destinations_file.is_none()
            && self.source.is_none()
            && self.workload.is_any()
    }
}

/// A moment, or a day, to the end of which (UTC) it holds.
fn expiry(text: &str) -> Result<Timestamp, String> {
    // A time would be read as its day.
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(day) = text.parse::<Date>() {
        let next = day.tomorrow().and_then(|next| TimeZone::UTC.to_timestamp(next.at(0, 0, 0, 0)));
        return next.map_err(|error| format!("`expires`: {error}"));
    }
    text.parse::<Timestamp>().map_err(|_| {
        format!(
            "`expires`: `{text}` is no day or time; write one like `2027-01-31` or `2027-01-31T12:00:00Z`"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_lasts_to_its_end() {
        for (text, expected) in [
            ("2027-01-31", Some("2027-02-01T00:00:00Z")),
            ("2027-01-31T12:00:00Z", Some("2027-01-31T12:00:00Z")),
            ("2027-01-31T12:00:00+02:00", Some("2027-01-31T10:00:00Z")),
            ("tomorrow", None),
            ("2027-02-30", None),
        ] {
            let expected = expected.map(|text| text.parse().expect("a time"));
            assert_eq!(expiry(text).ok(), expected, "{text}");
        }
    }
}
