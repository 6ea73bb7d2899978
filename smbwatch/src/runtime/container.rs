//! A container as its runtime describes it, cut to a size that a hostile description cannot exceed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::decode::printable;

/// Labels that are kept.
const MAX_LABELS: usize = 64;
/// Bytes of one text that are kept: a name, a label's key or its value.
const MAX_TEXT: usize = 256;
/// Bytes of all labels together that are kept.
const MAX_LABEL_BYTES: usize = 4096;

/// A container. What the runtime did not say is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The whole identifier.
    pub id: String,
    /// Its name; in a pod, its name there. The sandbox of a pod has none.
    pub name: Option<String>,
    /// The image as it was asked for: `registry/name:tag`.
    pub image: Option<String>,
    /// `sha256:` and the digest of the image's manifest, or of its configuration where only that is known.
    pub image_digest: Option<String>,
    /// Labels, the first by key. They can hold secrets.
    pub labels: BTreeMap<String, String>,
    /// `docker`, `podman`, `containerd` or `cri-o`.
    pub runtime: &'static str,
    /// The Kubernetes pod that it is part of.
    pub pod: Option<Pod>,
    /// When it was created.
    pub created: Option<Timestamp>,
}

/// A Kubernetes pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its identifier.
    pub uid: String,
}

impl Pod {
    /// The pod that the kubelet's labels name.
    pub(super) fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        let label =
            |name: &str| labels.get(&format!("io.kubernetes.pod.{name}")).and_then(|value| text(value));
        Some(Self { name: label("name")?, namespace: label("namespace")?, uid: label("uid")? })
    }
}

/// A text that can be shown, or none where it is empty.
pub(super) fn text(given: &str) -> Option<String> {
    let start: String = given.chars().take(MAX_TEXT).collect();
    let mut text = printable(start.as_bytes());
    while text.len() > MAX_TEXT {
        text.pop();
    }
    (!text.is_empty()).then_some(text)
}

/// As many labels as are kept. A longer one is cut.
pub(super) fn labels(given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut left = MAX_LABEL_BYTES;
    let shown = given.iter().map_while(|(key, value)| {
        let (key, value) = (text(key).unwrap_or_default(), text(value).unwrap_or_default());
        left = left.checked_sub(key.len() + value.len())?;
        Some((key, value))
    });
    shown.take(MAX_LABELS).collect()
}

/// The digest in `name@sha256:…`, `sha256:…`, or 64 digits alone, as Podman writes it.
pub(super) fn digest(image: &str) -> Option<String> {
    let digest = image.rsplit_once('@').map_or(image, |(_, digest)| digest);
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    let is_digest = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| format!("sha256:{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_of_one_form() {
        let digits = "3f2a9c0d5b7e81f64a2c9d0e8b7f6a5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a";
        let whole = Some(format!("sha256:{digits}"));
        for (image, expected) in [
            (format!("docker.io/library/web@sha256:{digits}"), &whole),
            (format!("sha256:{digits}"), &whole),
            (digits.to_owned(), &whole),
            ("docker.io/library/web:1".to_owned(), &None),
            (format!("sha512:{digits}"), &None),
            (String::new(), &None),
        ] {
            assert_eq!(&digest(&image), expected, "{image}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(text(""), None);
        assert_eq!(text("a\0b").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(text(&"\0".repeat(300)).map(|text| text.len()), Some(255));
        assert_eq!(text(&"x".repeat(300)).map(|text| text.len()), Some(256));
    }

    #[test]
    fn all_labels_together_have_a_limit() {
        let given = (0..64).map(|number| (format!("{number:02}"), "x".repeat(300))).collect();
        assert_eq!(labels(&given).len(), MAX_LABEL_BYTES / (2 + MAX_TEXT));
    }
}
