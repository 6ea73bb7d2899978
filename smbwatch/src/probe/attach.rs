//! Attaching classifiers to an interface: TCX first in the chain, else a filter on clsact.

use aya::Ebpf;
use aya::programs::tc::{self, NlOptions, TcAttachOptions};
use aya::programs::{LinkOrder, ProgramError, TcAttachType};

use super::error::Error;
use super::interfaces::{Interface, Layer};
use crate::config::BackEnd;

/// The priority of our clsact filters: before those whose priority the kernel chooses (49152).
const PRIORITY: u16 = 1;

/// How an interface is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    /// By TCX links.
    Tcx,
    /// By filters on the clsact qdisc.
    Clsact,
}

impl Attached {
    /// The back end's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// Attaches to both ways of `interface`.
pub(super) fn attach(bpf: &mut Ebpf, interface: &Interface, back_end: BackEnd) -> Result<Attached, Error> {
    let (egress, reply) = match interface.layer {
        Layer::Ethernet => ("smbwatch_egress", "smbwatch_reply"),
        Layer::Ip => ("smbwatch_egress_l3", "smbwatch_reply_l3"),
        Layer::Other => {
            return Err(Error::LinkType { name: interface.name.clone(), kind: interface.kind.clone() });
        }
    };
    let hooks = [(egress, TcAttachType::Egress), (reply, TcAttachType::Ingress)];
    remove_leftovers(&interface.name);
    let mut reasons = Vec::new();
    if back_end != BackEnd::Clsact {
        match attach_all(bpf, interface, hooks, Attached::Tcx) {
            Ok(()) => return Ok(Attached::Tcx),
            Err(error) => reasons.push(describe_tcx(&error)),
        }
    }
    if back_end != BackEnd::Tcx {
        // An existing clsact qdisc answers EEXIST and stays as it is.
        let qdisc = tc::qdisc_add_clsact(&interface.name);
        match attach_all(bpf, interface, hooks, Attached::Clsact) {
            Ok(()) => return Ok(Attached::Clsact),
            Err(error) => {
                let qdisc = qdisc.map_or_else(|error| format!(" (qdisc: {error})"), |()| String::new());
                reasons.push(format!("clsact failed: {}{qdisc}", causes(&error)));
            }
        }
    }
    Err(Error::Attach { name: interface.name.clone(), reason: reasons.join(", and ") })
}

fn attach_all(
    bpf: &mut Ebpf,
    interface: &Interface,
    hooks: [(&str, TcAttachType); 2],
    how: Attached,
) -> anyhow::Result<()> {
    let mut made = Vec::new();
    for (name, way) in hooks {
        let options = match how {
            Attached::Tcx => TcAttachOptions::TcxOrder(LinkOrder::first()),
            Attached::Clsact => {
                TcAttachOptions::Netlink(NlOptions { priority: PRIORITY, ..NlOptions::default() })
            }
        };
        match super::classifier(bpf, name)?.attach_with_options(&interface.name, way, options) {
            Ok(link) => made.push((name, link)),
            Err(error) => {
                for (name, link) in made {
                    super::classifier(bpf, name)?.detach(link)?;
                }
                return Err(error.into());
            }
        }
    }
    Ok(())
}

/// A clsact filter outlives an agent that was killed; TCX links do not.
fn remove_leftovers(interface: &str) {
    for name in super::CLASSIFIERS {
        for way in [TcAttachType::Egress, TcAttachType::Ingress] {
            // Nothing to remove is the usual case, and told as an error.
            let _ = tc::qdisc_detach_program(interface, way, name);
        }
    }
}

fn describe_tcx(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ProgramError>() {
        Some(error) if super::is_unsupported(error) => {
            let release = nix::sys::utsname::uname();
            let release =
                release.map_or_else(|_| "?".into(), |name| name.release().to_string_lossy().into_owned());
            format!("TCX needs Linux 6.6 or later (this is {release})")
        }
        _ => format!("TCX failed: {}", causes(error)),
    }
}

fn causes(error: &anyhow::Error) -> String {
    format!("{error:#}")
}
