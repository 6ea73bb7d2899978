//! Attaching classifiers to an interface: TCX first in the chain, else a filter on clsact.

use std::path::Path;

use aya::Ebpf;
use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions};
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttachType};
use nix::net::if_::if_nametoindex;

use super::error::{self, Error};
use super::interfaces::Layer;
use super::plan::Target;
use super::roles::Direction;
use crate::config::BackEnd;

/// The priority of our clsact filters: before those whose priority the kernel chooses (49152).
const PRIORITY: u16 = 1;

/// How an interface is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attached {
    /// By TCX links.
    Tcx,
    /// By filters on the clsact qdisc.
    Clsact,
}

/// What is attached to one interface; dropping it detaches.
pub(super) type Links = [SchedClassifierLink; 2];

/// A program and the hook for it.
type Hook = (&'static str, TcAttachType);

impl Attached {
    /// The back end's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// Attaches to both ways of an interface.
pub(super) fn attach(
    bpf: &mut Ebpf,
    target: &Target,
    back_end: BackEnd,
    run_dir: &Path,
) -> Result<(Links, Attached), Error> {
    let hooks = hooks(target)?;
    for (program, _) in hooks {
        super::classifier(bpf, program).map_err(|error| error::refused(error, run_dir))?;
    }
    let name = &target.interface.name;
    let attached = attach_by(bpf, name, hooks, back_end);
    // Attaching goes by the name, which may have passed to another interface meanwhile.
    if if_nametoindex(name.as_str()) != Ok(target.interface.index) {
        return Err(Error::Gone { name: name.clone() });
    }
    attached.map_err(|reason| Error::Attach { name: name.clone(), reason })
}

/// Clients' packets pass at one hook, the answers to them at the other.
fn hooks(target: &Target) -> Result<[Hook; 2], Error> {
    let [egress, reply] = match target.interface.layer() {
        Layer::Ethernet => ["smbwatch_egress", "smbwatch_reply"],
        Layer::Ip => ["smbwatch_egress_l3", "smbwatch_reply_l3"],
        Layer::Other => {
            let kind = format!("{:?}", target.interface.link_type);
            return Err(Error::LinkType { name: target.interface.name.clone(), kind });
        }
    };
    Ok(match target.watch.direction {
        Direction::Egress => [(egress, TcAttachType::Egress), (reply, TcAttachType::Ingress)],
        Direction::Ingress => [(egress, TcAttachType::Ingress), (reply, TcAttachType::Egress)],
    })
}

fn attach_by(
    bpf: &mut Ebpf,
    name: &str,
    hooks: [Hook; 2],
    back_end: BackEnd,
) -> Result<(Links, Attached), String> {
    let mut reasons = Vec::new();
    if back_end != BackEnd::Clsact {
        match attach_all(bpf, name, hooks, Attached::Tcx) {
            Ok(links) => return Ok((links, Attached::Tcx)),
            Err(error) => {
                let lacks_tcx = is_unsupported(&error) && !has_tcx(name);
                reasons.push(if lacks_tcx { needs_tcx() } else { format!("TCX failed: {error:#}") });
                if !lacks_tcx || back_end == BackEnd::Tcx {
                    return Err(reasons.join(", and "));
                }
            }
        }
    }
    // An existing clsact qdisc answers EEXIST and stays as it is.
    let qdisc = tc::qdisc_add_clsact(name);
    attach_all(bpf, name, hooks, Attached::Clsact).map(|links| (links, Attached::Clsact)).map_err(|error| {
        let qdisc = qdisc.map_or_else(|error| format!(" (qdisc: {error})"), |()| String::new());
        reasons.push(format!("clsact failed: {error:#}{qdisc}"));
        reasons.join(", and ")
    })
}

fn attach_all(
    bpf: &mut Ebpf,
    name: &str,
    [first, second]: [Hook; 2],
    how: Attached,
) -> anyhow::Result<Links> {
    let mut attach = |(program, way)| -> anyhow::Result<SchedClassifierLink> {
        let options = match how {
            Attached::Tcx => TcAttachOptions::TcxOrder(LinkOrder::first()),
            Attached::Clsact => {
                TcAttachOptions::Netlink(NlOptions { priority: PRIORITY, ..NlOptions::default() })
            }
        };
        let program = super::classifier(bpf, program)?;
        let link = program.attach_with_options(name, way, options)?;
        Ok(program.take_link(link)?)
    };
    Ok([attach(first)?, attach(second)?])
}

/// Whether the kernel has TCX, and none of its programs is on an interface. Any of them may send packets on
/// their way past the filters of clsact.
pub fn is_free_of_tcx(interface: &str) -> bool {
    [TcAttachType::Egress, TcAttachType::Ingress]
        .into_iter()
        .all(|way| SchedClassifier::query_tcx(interface, way).is_ok_and(|(_, programs)| programs.is_empty()))
}

/// Whether the kernel has TCX; a kernel without it refuses the question itself.
fn has_tcx(interface: &str) -> bool {
    SchedClassifier::query_tcx(interface, TcAttachType::Egress).is_ok()
}

/// Whether an error says that the kernel lacks what was asked for.
fn is_unsupported(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ProgramError::SyscallError(error))
        if matches!(error.io_error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)))
}

fn needs_tcx() -> String {
    let release = nix::sys::utsname::uname();
    let release = release.map_or_else(|_| "?".into(), |name| name.release().to_string_lossy().into_owned());
    format!("TCX needs Linux 6.6 or later (this is {release})")
}
