//! Where an address is, and whose: databases in MaxMind's format. <https://maxmind.github.io/MaxMind-DB/>

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context as _;
use maxminddb::{LookupResult, PathElement, Reader, geoip2};

/// Largest file that is read.
const MAX_BYTES: u64 = 1 << 29;

/// What a database is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Countries.
    Country,
    /// Autonomous systems.
    Asn,
}

/// A database, held in memory: a mapped file would end the agent, should somebody cut it short.
pub struct Database(Reader<Vec<u8>>);

/// Where an address is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// ISO 3166-1, two letters.
    pub country: String,
    /// In English.
    pub country_name: Option<String>,
    /// Two letters.
    pub continent: Option<String>,
    /// In English.
    pub continent_name: Option<String>,
}

/// Whose an address is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// Number of the autonomous system.
    pub number: u32,
    /// Who runs it.
    pub organization: Option<String>,
}

impl Topic {
    /// What the types of such databases are called, in small letters: `GeoLite2-Country`, `DBIP-ASN-Lite`.
    const fn names(self) -> [&'static str; 3] {
        match self {
            Self::Country => ["country", "city", "enterprise"],
            Self::Asn => ["asn", "isp", "enterprise"],
        }
    }
}

impl Database {
    /// Reads a file about `topic`.
    pub fn read(path: &Path, topic: Topic) -> anyhow::Result<Self> {
        let read = || {
            let size = fs::metadata(path)?.len();
            anyhow::ensure!(size <= MAX_BYTES, "larger than {} MiB", MAX_BYTES >> 20);
            Self::parse(fs::read(path)?, topic)
        };
        read().with_context(|| path.display().to_string())
    }

    /// Checks what was read.
    pub fn parse(bytes: Vec<u8>, topic: Topic) -> anyhow::Result<Self> {
        let reader = Reader::from_source(bytes)?;
        let kind = &reader.metadata().database_type;
        let is_about = |name: &&str| kind.to_lowercase().contains(name);
        anyhow::ensure!(
            topic.names().iter().any(is_about),
            "a database of the type `{kind}`, where one about {} is expected",
            topic.names().join(", ")
        );
        Ok(Self(reader))
    }

    /// What its maker calls it, and when it was made, in seconds since 1970.
    pub fn edition(&self) -> (&str, u64) {
        let metadata = self.0.metadata();
        (&metadata.database_type, metadata.build_epoch)
    }

    /// Where an address is.
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        let found = self.0.lookup(address).ok()?;
        let record = found.decode::<geoip2::Country<'_>>().ok().flatten().unwrap_or_default();
        let (country, continent) = (record.country, record.continent);
        let code = country.iso_code.map(str::to_owned);
        Some(Place {
            // Some makers have nothing more than this.
            country: code.or_else(|| text(&found, "country_code"))?,
            country_name: country.names.english.map(str::to_owned),
            continent: continent.code.map(str::to_owned),
            continent_name: continent.names.english.map(str::to_owned),
        })
    }

    /// Whose an address is.
    pub fn system(&self, address: IpAddr) -> Option<System> {
        let record = self.0.lookup(address).ok()?.decode::<geoip2::Asn<'_>>().ok()??;
        let organization = record.autonomous_system_organization.map(str::to_owned);
        Some(System { number: record.autonomous_system_number?, organization })
    }
}

fn text(found: &LookupResult<'_, Vec<u8>>, key: &str) -> Option<String> {
    found.decode_path(&[PathElement::Key(key)]).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTRY: &[u8] = include_bytes!("../../tests/data/geo/country.mmdb");
    const ASN: &[u8] = include_bytes!("../../tests/data/geo/asn.mmdb");

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn countries_and_systems_are_found() {
        let database = Database::parse(COUNTRY.to_vec(), Topic::Country).expect("a database");
        let place = |text| database.place(address(text));
        let whole = Place {
            country: "US".to_owned(),
            country_name: Some("United States".to_owned()),
            continent: Some("NA".to_owned()),
            continent_name: Some("North America".to_owned()),
        };
        assert_eq!(place("93.184.216.34"), Some(whole.clone()));
        assert_eq!(place("2606:2800:220:1::1"), Some(whole));
        assert_eq!(place("93.184.217.1"), Some(Place { country: "DE".to_owned(), ..Place::default() }));
        assert_eq!(place("192.0.2.1"), None);

        let database = Database::parse(ASN.to_vec(), Topic::Asn).expect("a database");
        let system = |text| database.system(address(text));
        let organization = Some("Example Networks".to_owned());
        assert_eq!(system("93.184.216.34"), Some(System { number: 64500, organization }));
        assert_eq!(system("93.184.217.1"), Some(System { number: 64501, organization: None }));
        assert_eq!(system("192.0.2.1"), None);
    }

    #[test]
    fn what_is_no_such_database_is_refused() {
        for (bytes, topic, message) in [
            (ASN, Topic::Country, "a database of the type `Test-ASN`, where one about country, city"),
            (COUNTRY, Topic::Asn, "a database of the type `Test-Country`, where one about asn"),
            (b"", Topic::Asn, ""),
            (&COUNTRY[..COUNTRY.len() / 2], Topic::Country, ""),
        ] {
            let error = Database::parse(bytes.to_vec(), topic).err().expect("an error").to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn damage_is_no_more_than_a_missing_answer() {
        let mut random = fastrand::Rng::with_seed(5);
        for (whole, topic) in [(COUNTRY, Topic::Country), (ASN, Topic::Asn)] {
            for _ in 0..3000 {
                let mut bytes = whole.to_vec();
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(..bytes.len());
                    bytes[at] = random.u8(..);
                }
                let Ok(database) = Database::parse(bytes, topic) else { continue };
                for text in ["93.184.216.34", "93.184.217.1", "2606:2800:220:1::1", "255.255.255.255"] {
                    let _ = (database.place(address(text)), database.system(address(text)));
                }
            }
        }
    }
}
