//! Where a web service answers.

use std::fmt;

use hyper::Uri;
use serde::Deserialize;

use super::End;

/// `http://` or `https://`, a host, and a path. Its debug form leaves out the path, which may be a secret.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Url {
    /// Whether TLS is spoken.
    pub secure: bool,
    /// Who answers.
    pub end: End,
    /// Path and query.
    pub path: String,
}

impl TryFrom<String> for Url {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = text.parse().ok().and_then(|uri: Uri| {
            let secure = match uri.scheme_str()? {
                "https" => true,
                "http" => false,
                _ => return None,
            };
            if uri.authority()?.as_str().contains('@') {
                return None;
            }
            let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let end = End { host: uri.host()?.to_owned(), port };
            Some(Self { secure, end, path: uri.path_and_query()?.to_string() })
        });
        // The text is not repeated: it may hold a password.
        url.ok_or_else(|| {
            "a `url` that is none; write `https://HOST/PATH`, without user and password".to_owned()
        })
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Without the path.
impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", if self.secure { "https" } else { "http" }, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (text, shown, path) in [
            ("https://hooks.example/T0/secret?key=1", "https://hooks.example:443", "/T0/secret?key=1"),
            ("http://10.0.0.1:9200", "http://10.0.0.1:9200", "/"),
            ("http://[::1]:8080/a", "http://[::1]:8080", "/a"),
        ] {
            let url = Url::try_from(text.to_owned()).expect(text);
            assert_eq!((format!("{url:?}").as_str(), url.path.as_str()), (shown, path));
        }
        for text in ["ftp://host/", "https://user:password@host/", "/path", "host:80", "https://"] {
            let error = Url::try_from(text.to_owned()).expect_err(text);
            assert!(!error.contains("password@"), "{error}");
        }
    }
}
