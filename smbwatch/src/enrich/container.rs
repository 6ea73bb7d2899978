//! The container, pod and unit that a cgroup's path names. Nothing is asked: the path alone says it.

/// The fewest digits that an abbreviated identifier has.
const SHORTEST_ID: usize = 12;
/// Digits of a whole identifier.
const WHOLE_ID: usize = 64;

/// The prefixes that runtimes give to the scopes of their containers.
const PREFIXES: [(&str, &str); 6] = [
    ("cri-containerd", "containerd"),
    ("nerdctl", "containerd"),
    ("crio", "cri-o"),
    ("docker", "docker"),
    ("libpod-payload", "podman"),
    ("libpod", "podman"),
];

/// What a path says; missing where it says nothing. Who may make cgroups, as users may below their
/// `user@.service`, names them at will.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The innermost container.
    pub container: Option<ContainerId>,
    /// The Kubernetes pod's identifier, with dashes.
    pub pod_uid: Option<String>,
    /// The innermost service or scope of systemd that is not the container itself.
    pub unit: Option<String>,
}

/// A container as its runtime knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerId {
    /// 64 hexadecimal digits, or the name where the runtime has names alone (LXC, systemd-nspawn).
    pub id: String,
    /// Whose it is: `docker`, `podman`, `containerd`, `cri-o`, `lxc`, `systemd-nspawn`, `fargate`; `cri` for
    /// one below Kubernetes and `unknown` for one elsewhere, where the path does not tell.
    pub runtime: &'static str,
}

impl Place {
    /// Reads a cgroup's path, as /proc/PID/cgroup and [`Cgroups`](super::cgroup::Cgroups) have it.
    pub fn of(path: &str) -> Self {
        let mut place = Self::default();
        let mut above: Vec<&str> = Vec::new();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            place.pod_uid = pod(name, &above).or(place.pod_uid);
            if let Some(container) = container(name, &above) {
                place.container = Some(container);
            } else if name.ends_with(".service") || name.ends_with(".scope") {
                place.unit = Some(unescape(name));
            }
            above.push(name);
        }
        place
    }
}

/// The container that `name`, in the folders `above`, belongs to.
fn container(name: &str, above: &[&str]) -> Option<ContainerId> {
    let parent = above.last().copied().unwrap_or_default();
    let (id, runtime) = if let Some(found) = prefixed(name) {
        found
    } else if is_hex(name, WHOLE_ID) {
        (name, owner(above)?)
    } else if let Some(found) = named(name, parent) {
        return Some(found);
    } else if is_fargate(name, parent) && above.contains(&"ecs") {
        (name, "fargate")
    } else {
        return None;
    };
    Some(ContainerId { id: id.to_owned(), runtime })
}

/// `docker-ID.scope` of systemd; `libpod-ID` of a runtime that names folders alike; and `SLICE:docker:ID`,
/// which is what a runtime without systemd makes of a name that was meant for it.
fn prefixed(name: &str) -> Option<(&str, &'static str)> {
    let bare = name.strip_suffix(".scope").unwrap_or(name);
    let mut parts = bare.rsplitn(3, ':');
    let (id, prefix) = match (parts.next(), parts.next(), parts.next()) {
        (Some(id), Some(prefix), Some(_)) => (id, prefix),
        _ => bare.rsplit_once('-').map(|(prefix, id)| (id, prefix))?,
    };
    let (_, runtime) = PREFIXES.iter().find(|(known, _)| *known == prefix)?;
    is_hex(id, SHORTEST_ID).then_some((id, runtime))
}

/// Whose a bare identifier is.
fn owner(above: &[&str]) -> Option<&'static str> {
    match above {
        [above @ .., parent] if pod(parent, above).is_some() => Some("cri"),
        // The agent of ECS on EC2 starts containers through Docker, whose namespace in containerd is `moby`.
        [.., "docker"] | ["ecs", ..] | ["moby"] => Some("docker"),
        // The namespaces of containerd that its own tools and Kubernetes use.
        ["default" | "k8s.io"] => Some("containerd"),
        // Pods of Podman are named like containers.
        [.., "libpod_parent"] => None,
        _ => Some("unknown"),
    }
}

/// Containers that have names, and no identifier.
fn named(name: &str, parent: &str) -> Option<ContainerId> {
    let (id, runtime) = if let Some(id) = name.strip_prefix("lxc.payload.") {
        (id.to_owned(), "lxc")
    } else if matches!(parent, "lxc" | "lxc.payload") {
        (name.to_owned(), "lxc")
    } else if let Some(id) = between(name, "systemd-nspawn@", ".service") {
        (unescape(id), "systemd-nspawn")
    } else {
        (unescape(between(name, "machine-", ".scope")?), "systemd-nspawn")
    };
    (!id.is_empty() && !is_libvirt(&id)).then_some(ContainerId { id, runtime })
}

/// libvirt registers its machines, most of them virtual, as `qemu-NUMBER-NAME`.
fn is_libvirt(machine: &str) -> bool {
    let mut parts = machine.splitn(3, '-');
    matches!(parts.next(), Some("qemu" | "lxc" | "ch")) && parts.next().is_some_and(is_number)
}

/// `podUID` below `kubepods`, and `kubepods-burstable-podUID.slice`, whose dashes systemd reads as levels.
fn pod(name: &str, above: &[&str]) -> Option<String> {
    // `SLICE:cri-containerd:ID` names both.
    let name = name.split(':').next()?;
    let uid = match name.strip_suffix(".slice") {
        Some(slice) if slice.contains("kubepods") => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        Some(_) => return None,
        None if above.iter().any(|name| name.contains("kubepods")) => name.strip_prefix("pod")?.to_owned(),
        None => return None,
    };
    // A static pod's is a hash, without dashes.
    let is_uid = matches!(uid.len(), 32 | 36) && uid.bytes().all(|byte| is_digit(byte) || byte == b'-');
    is_uid.then_some(uid)
}

/// The task's identifier, and a number.
fn is_fargate(name: &str, task: &str) -> bool {
    let number = name.strip_prefix(task).and_then(|rest| rest.strip_prefix('-'));
    is_hex(task, 32) && number.is_some_and(is_number)
}

fn between<'a>(name: &'a str, before: &str, after: &str) -> Option<&'a str> {
    name.strip_prefix(before)?.strip_suffix(after)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_hex(text: &str, fewest: usize) -> bool {
    (fewest..=WHOLE_ID).contains(&text.len()) && text.bytes().all(is_digit)
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Undoes the escapes `\xHH` of a unit's name, systemd.unit(5).
fn unescape(name: &str) -> String {
    let mut parts = name.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let escaped = part.split_at_checked(2).and_then(|(digits, rest)| {
            let digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(digits)?;
            Some((u8::from_str_radix(digits, 16).ok()?, rest))
        });
        match escaped {
            Some((byte, rest)) => {
                bytes.push(byte);
                bytes.extend(rest.as_bytes());
            }
            None => {
                bytes.extend(b"\\x");
                bytes.extend(part.as_bytes());
            }
        }
    }
    crate::decode::printable(&bytes)
}

#[cfg(test)]
mod tests;
