//! What an alert says of the container, the pod and the mount behind a connection.

use std::collections::BTreeMap;

use glob::Pattern;
use serde::Serialize;

use crate::enrich::who::{Mount, Who};
use crate::runtime::Container;

#[derive(Clone, Debug, Serialize)]
pub struct ContainerFields {
    pub id: String,
    pub runtime: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Image {
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tag: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Hash {
    pub all: [String; 1],
}

#[derive(Clone, Debug, Serialize)]
pub struct Orchestrator {
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    pub resource: Resource,
}

#[derive(Clone, Debug, Serialize)]
pub struct Resource {
    pub r#type: &'static str,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct MountFields {
    pub source: String,
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// The container, with those of its labels that are to be told.
pub(super) fn container(who: &Who, told: &[Pattern]) -> Option<ContainerFields> {
    let id = who.place.container.as_ref()?;
    let mut fields = ContainerFields {
        id: id.id.clone(),
        runtime: id.runtime,
        name: None,
        image: None,
        labels: BTreeMap::new(),
    };
    if let Some(container) = who.container.as_deref() {
        fields.id.clone_from(&container.id);
        fields.runtime = container.runtime;
        fields.name.clone_from(&container.name);
        fields.image = image(container);
        fields.labels = labels(container, told);
    }
    Some(fields)
}

/// `registry/name:tag` as a name and a tag. A port of the registry is no tag.
fn image(container: &Container) -> Option<Image> {
    let reference = container.image.as_deref()?;
    let reference = reference.split_once('@').map_or(reference, |(name, _)| name);
    let tagged = reference.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let (name, tag) = tagged.map_or((reference, None), |(name, tag)| (name, Some(tag.to_owned())));
    let hash = container.image_digest.clone().map(|digest| Hash { all: [digest] });
    Some(Image { name: name.to_owned(), tag: tag.into_iter().collect(), hash })
}

/// A dot in a key would make it an object of its own where alerts are stored.
fn labels(container: &Container, told: &[Pattern]) -> BTreeMap<String, String> {
    let is_told = |key: &str| told.iter().any(|pattern| pattern.matches(key));
    let labels = container.labels.iter().filter(|(key, _)| is_told(key));
    labels.map(|(key, value)| (key.replace('.', "_"), value.clone())).collect()
}

/// The Kubernetes pod.
pub(super) fn orchestrator(who: &Who) -> Option<Orchestrator> {
    let pod = who.container.as_deref().and_then(|container| container.pod.as_ref());
    let id = pod.map(|pod| &pod.uid).or(who.place.pod_uid.as_ref())?.clone();
    Some(Orchestrator {
        r#type: "kubernetes",
        namespace: pod.map(|pod| pod.namespace.clone()),
        resource: Resource { r#type: "pod", id, name: pod.map(|pod| pod.name.clone()) },
    })
}

pub(super) fn mount(mount: &Mount) -> MountFields {
    MountFields {
        source: mount.source.clone(),
        path: mount.path.to_string_lossy().into_owned(),
        user: mount.user.clone(),
        version: mount.version.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::new(text).expect("a pattern")).collect()
    }

    #[test]
    fn images_have_a_name_and_a_tag() {
        for (reference, name, tag) in [
            ("docker.io/library/web:1.2", "docker.io/library/web", Some("1.2")),
            ("web", "web", None),
            ("registry.example:5000/team/web", "registry.example:5000/team/web", None),
            ("registry.example:5000/team/web:1@sha256:00", "registry.example:5000/team/web", Some("1")),
        ] {
            let container = Container { image: Some(reference.to_owned()), ..Container::default() };
            let image = image(&container).expect("an image");
            assert_eq!((image.name.as_str(), image.tag.first().map(String::as_str)), (name, tag));
        }
    }

    #[test]
    fn labels_are_told_by_name() {
        let labels =
            ["app.kubernetes.io/name", "app", "password"].map(|key| (key.to_owned(), "x".to_owned()));
        let container = Container { labels: labels.into(), ..Container::default() };
        let shown = super::labels(&container, &told(&["app", "app.kubernetes.io/*"]));
        assert_eq!(shown.into_keys().collect::<Vec<_>>(), ["app", "app_kubernetes_io/name"]);
        assert!(super::labels(&container, &[]).is_empty());
    }
}
