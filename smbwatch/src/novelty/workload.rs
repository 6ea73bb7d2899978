//! What a workload is called, so that it is the same one after it has been started anew.

use std::net::IpAddr;

use crate::enrich::who::{Method, Who};

/// Longest name that is made.
const MAX_NAME: usize = 256;

/// The image outlives containers, replicas and updates, whose names and tags change; a service outlives its
/// processes, and scopes are numbered anew. What a virtual machine or a raw socket sends is not of the
/// process that holds it, and is known by its address.
pub fn workload(who: &Who, source: IpAddr) -> String {
    let name = container(who).or_else(|| service(who)).or_else(|| executable(who));
    name.unwrap_or_else(|| format!("address:{source}")).chars().take(MAX_NAME).collect()
}

fn container(who: &Who) -> Option<String> {
    let place = who.place.container.as_ref()?;
    let Some(container) = who.container.as_deref() else { return Some(format!("container:{}", place.id)) };
    let namespace = container.pod.as_ref().map(|pod| format!("{}/", pod.namespace)).unwrap_or_default();
    if let Some(image) = &container.image {
        return Some(format!("image:{namespace}{}", repository(image)));
    }
    Some(format!("container:{namespace}{}", container.name.as_ref().unwrap_or(&container.id)))
}

/// `registry:5000/name` of `registry:5000/name:tag@digest`.
fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(image, |(name, _)| name)
}

/// Those that systemd-run makes have a number for a name.
fn service(who: &Who) -> Option<String> {
    let unit = who.place.unit.as_ref()?;
    let is_stable = unit.ends_with(".service") && !unit.starts_with("run-") && !unit.starts_with("user@");
    is_stable.then(|| format!("unit:{unit}"))
}

fn executable(who: &Who) -> Option<String> {
    let process = who.process.as_ref().filter(|_| who.method != Method::Procfs)?;
    Some(format!("executable:{}", process.executable.as_ref()?))
}
