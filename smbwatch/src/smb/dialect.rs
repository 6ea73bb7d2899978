//! Dialects by their numbers and names ([MS-SMB2] 2.2.3, [MS-CIFS] 2.2.4.52).

use std::fmt::{self, Display, Formatter};

/// A dialect that is offered or chosen. Shown as `3.1.1`, or by its name in SMB 1, such as `NT LM 0.12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Of SMB 1, by the name that stands in its negotiation; those of SMB 2 may stand there too.
    Named(String),
    /// Of SMB 2 and 3, by number: 0x0311 is 3.1.1, and 0x02ff is any of SMB 2 that will be told later.
    Numbered(u16),
}

impl Dialect {
    /// The version of the protocol: `1.0` for every dialect of SMB 1.
    pub fn version(&self) -> String {
        match self {
            Self::Named(_) => "1.0".to_owned(),
            Self::Numbered(_) => self.to_string(),
        }
    }
}

impl Display for Dialect {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Numbered(0x0202) => f.write_str("2.0.2"),
            Self::Numbered(0x02ff) => f.write_str("2.x"),
            Self::Numbered(number) => {
                let [major, minor] = number.to_be_bytes();
                write!(f, "{major:x}.{:x}", minor >> 4)?;
                if minor & 0x0f == 0 { Ok(()) } else { write!(f, ".{:x}", minor & 0x0f) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_versions() {
        for (number, expected) in [
            (0x0202, "2.0.2"),
            (0x0210, "2.1"),
            (0x02ff, "2.x"),
            (0x0300, "3.0"),
            (0x0302, "3.0.2"),
            (0x0311, "3.1.1"),
        ] {
            assert_eq!(Dialect::Numbered(number).to_string(), expected);
        }
    }
}
