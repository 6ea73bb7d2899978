//! What files say of a destination. They are read away from the packets, and again when they have changed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ipnet::IpNet;
use jiff::Timestamp;

use super::geo::{Database, Place, System, Topic};
use super::threats::{Indicator, List};
use crate::config::Config;
use crate::config::enrichment::ThreatList;
use crate::except;

/// What has been read.
#[derive(Default)]
pub struct Files {
    lists: Vec<(ThreatList, List)>,
    country: Option<Database>,
    asn: Option<Database>,
}

/// What is known of a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Why it is bad.
    pub threat: Option<Threat>,
    /// Where it is.
    pub place: Option<Place>,
    /// Whose it is.
    pub system: Option<System>,
}

/// What a list says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threat {
    /// The list's name.
    pub list: String,
    /// What the severity is raised to.
    pub severity: u8,
    /// The entry that matches.
    pub prefix: IpNet,
    /// What is said of it.
    pub indicator: Indicator,
}

/// What was read anew.
pub enum Fresh {
    /// A list, which takes the place of its predecessor.
    List(ThreatList, List),
    /// A database, the same.
    Database(Topic, Database),
    /// Where exceptions of this file may go.
    Destinations(PathBuf, Vec<IpNet>),
}

impl Files {
    /// Takes what was read.
    pub fn learn(&mut self, fresh: Fresh) {
        match fresh {
            Fresh::List(named, list) => match self.lists.iter_mut().find(|(known, _)| *known == named) {
                Some((_, known)) => *known = list,
                None => self.lists.push((named, list)),
            },
            Fresh::Database(Topic::Country, database) => self.country = Some(database),
            Fresh::Database(Topic::Asn, database) => self.asn = Some(database),
            Fresh::Destinations(..) => {}
        }
    }

    /// Forgets what a configuration does not name.
    pub fn keep(&mut self, config: &Config) {
        self.lists.retain(|(known, _)| config.threat_lists.contains(known));
        self.country.take_if(|_| config.geo.country.is_none());
        self.asn.take_if(|_| config.geo.asn.is_none());
    }

    /// What is known of `address` at the time `now`.
    pub fn about(&self, address: IpAddr, now: Timestamp) -> Peer {
        let address = address.to_canonical();
        Peer {
            threat: self.threat(address, now),
            place: self.country.as_ref().and_then(|database| database.place(address)),
            system: self.asn.as_ref().and_then(|database| database.system(address)),
        }
    }

    /// What the gravest of the lists says.
    fn threat(&self, address: IpAddr, now: Timestamp) -> Option<Threat> {
        let said = self.lists.iter().filter_map(|(named, list)| {
            let (prefix, indicator) = list.find(address, now)?;
            Some(Threat { list: named.name.clone(), severity: named.severity, prefix, indicator })
        });
        said.max_by_key(|threat| threat.severity)
    }
}

/// Looks whether files have changed.
pub struct Follower {
    followed: Vec<Followed>,
}

struct Followed {
    file: File,
    /// What it was when it was last read, or tried to be.
    seen: Option<Result<Stamp, io::ErrorKind>>,
}

#[derive(Debug, PartialEq, Eq)]
enum File {
    List(ThreatList),
    Database(Topic, PathBuf),
    Destinations(PathBuf),
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Stamp {
    /// That of a file now.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

impl Follower {
    /// Follows what a configuration names.
    pub fn of(config: &Config) -> Self {
        Self::new(File::all(config))
    }

    /// Follows what its exceptions name.
    pub fn of_exceptions(config: &Config) -> Self {
        Self::new(File::destinations(config))
    }

    fn new(files: impl Iterator<Item = File>) -> Self {
        Self { followed: files.map(Followed::new).collect() }
    }

    /// Follows what another configuration names; what that has in common with the one before is not read again.
    pub fn follow(&mut self, config: &Config) {
        let mut before = std::mem::take(&mut self.followed);
        self.followed.extend(File::all(config).map(|file| {
            let known = before.iter().position(|known| known.file == file);
            known.map_or_else(|| Followed::new(file), |known| before.swap_remove(known))
        }));
    }

    /// Whether there is nothing to follow.
    pub fn is_idle(&self) -> bool {
        self.followed.is_empty()
    }

    /// Reads what has changed since the last look. What is wrong with a file is logged once, and what was read
    /// of it before stays.
    pub fn look(&mut self) -> Vec<Fresh> {
        self.followed.iter_mut().filter_map(Followed::look).collect()
    }
}

impl Followed {
    const fn new(file: File) -> Self {
        Self { file, seen: None }
    }

    fn look(&mut self) -> Option<Fresh> {
        // Before it is read: a change meanwhile is seen by the next look.
        let stamp = Stamp::of(self.file.path()).map_err(|error| error.kind());
        if self.seen == Some(stamp) {
            return None;
        }
        let again = self.seen.replace(stamp).is_some();
        match self.file.read() {
            Ok(fresh) => Some(fresh),
            Err(error) => {
                let stays = if again { "; what was read before stays" } else { "" };
                tracing::warn!("{error:#}{stays}");
                None
            }
        }
    }
}

impl File {
    fn all(config: &Config) -> impl Iterator<Item = Self> {
        let lists = config.threat_lists.iter().cloned().map(Self::List);
        let topics = [(Topic::Country, &config.geo.country), (Topic::Asn, &config.geo.asn)];
        let databases =
            topics.into_iter().filter_map(|(topic, path)| Some(Self::Database(topic, path.clone()?)));
        lists.chain(databases).chain(Self::destinations(config))
    }

    fn destinations(config: &Config) -> impl Iterator<Item = Self> {
        let files = config.exceptions.iter().filter_map(|exception| exception.destinations_file.as_ref());
        let files: BTreeSet<&PathBuf> = files.collect();
        files.into_iter().cloned().map(Self::Destinations)
    }

    fn path(&self) -> &PathBuf {
        match self {
            Self::List(list) => &list.path,
            Self::Database(_, path) | Self::Destinations(path) => path,
        }
    }

    fn read(&self) -> anyhow::Result<Fresh> {
        match self {
            Self::List(named) => {
                let list = List::read(&named.path, named.format)?;
                tracing::info!(
                    "{}: {} prefixes of the list `{}`",
                    named.path.display(),
                    list.len(),
                    named.name
                );
                Ok(Fresh::List(named.clone(), list))
            }
            Self::Database(topic, path) => {
                let database = Database::read(path, *topic)?;
                let (kind, built) = database.edition();
                let built = i64::try_from(built).map(Timestamp::from_second);
                let day = built.ok().and_then(Result::ok).map(|built| built.strftime(" of %F").to_string());
                tracing::info!("{}: {kind}{}", path.display(), day.unwrap_or_default());
                Ok(Fresh::Database(*topic, database))
            }
            Self::Destinations(path) => {
                let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
                let prefixes = except::parse(&text)
                    .map_err(|message| anyhow::anyhow!("{}: {message}", path.display()))?;
                Ok(Fresh::Destinations(path.clone(), prefixes))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::enrichment::Format;

    fn named(name: &str, path: &Path, severity: u8) -> ThreatList {
        ThreatList { name: name.to_owned(), path: path.to_owned(), format: Format::Plain, severity }
    }

    fn list(text: &str) -> List {
        List::parse(text.as_bytes(), Path::new("list"), Format::Plain).expect("a list")
    }

    #[test]
    fn the_gravest_list_counts_and_mapped_addresses_are_their_ipv4_address() {
        let mut files = Files::default();
        for (name, severity, text) in
            [("all", 47, "192.0.2.0/24"), ("worst", 99, "192.0.2.1"), ("some", 73, "192.0.2.0/28")]
        {
            files.learn(Fresh::List(named(name, Path::new(name), severity), list(text)));
        }
        let about = |address: &str| {
            let address = address.parse().expect("an address");
            files.about(address, Timestamp::UNIX_EPOCH).threat.map(|threat| (threat.list, threat.severity))
        };
        assert_eq!(about("192.0.2.1"), Some(("worst".to_owned(), 99)));
        assert_eq!(about("::ffff:192.0.2.2"), Some(("some".to_owned(), 73)));
        assert_eq!(about("192.0.2.77"), Some(("all".to_owned(), 47)));
        assert_eq!(about("192.0.3.1"), None);
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_and_a_bad_one_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("smbw-files-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("list");
        let config = Config { threat_lists: vec![named("list", &path, 99)], ..Config::default() };
        let (mut follower, mut files) = (Follower::of(&config), Files::default());
        let mut look = |address: &str| {
            let fresh = follower.look();
            let count = fresh.len();
            fresh.into_iter().for_each(|fresh| files.learn(fresh));
            let address = address.parse().expect("an address");
            (count, files.about(address, Timestamp::UNIX_EPOCH).threat.is_some())
        };
        let replace = |text: &str| {
            fs::write(folder.join("new"), text).expect("write");
            fs::rename(folder.join("new"), &path).expect("rename");
        };
        assert_eq!(look("192.0.2.1"), (0, false), "it is not there yet");
        replace("192.0.2.1");
        assert_eq!(look("192.0.2.1"), (1, true));
        assert_eq!(look("192.0.2.1"), (0, true), "it has not changed");
        replace("192.0.2.2");
        assert_eq!(look("192.0.2.1"), (1, false), "it was replaced");
        replace("nonsense");
        assert_eq!(look("192.0.2.2"), (0, true), "it is wrong");
        fs::remove_file(&path).expect("remove");
        assert_eq!(look("192.0.2.2"), (0, true), "it is gone");
        replace("192.0.2.2\n192.0.2.3");
        assert_eq!(look("192.0.2.3"), (1, true), "it is back");
        fs::remove_dir_all(&folder).expect("clean up");
    }
}
