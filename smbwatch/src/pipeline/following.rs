//! What is known of the interfaces, kept up to date by what the kernel tells.

use anyhow::Context as _;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use nix::sys::socket::{setsockopt, sockopt::RcvBufForce};
use rtnetlink::packet_core::NetlinkMessage;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::{AsyncSocket as _, SocketAddr};
use rtnetlink::{Handle, MulticastGroup};
use tokio::sync::watch::{Receiver, Ref, Sender, channel};

use crate::probe::Error;
use crate::probe::interfaces::{Effect, Snapshot};
use crate::probe::routes;

const GROUPS: [MulticastGroup; 3] =
    [MulticastGroup::Link, MulticastGroup::Ipv4Route, MulticastGroup::Ipv6Route];
/// Bytes of messages that may wait while an interface is attached: some thousand interfaces' worth.
const BUFFER: usize = 8 << 20;

/// Follows the interfaces of this network namespace.
pub(super) struct Following {
    /// For requests of one's own.
    pub(super) handle: Handle,
    latest: Receiver<Snapshot>,
}

impl Following {
    /// Subscribes, and then reads all, so that nothing falls between the two.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let (mut telling, _, messages) =
            rtnetlink::new_multicast_connection(&GROUPS).context("open rtnetlink")?;
        // Where it is refused, messages are lost sooner, and all is read again.
        let _ = setsockopt(telling.socket_mut().socket_ref(), RcvBufForce, &BUFFER);
        tokio::spawn(telling);
        // With a socket of its own: a full one may lose the answer to a request.
        let (answering, handle, _) = rtnetlink::new_connection().context("open rtnetlink")?;
        tokio::spawn(answering);
        let (sender, latest) = channel(Snapshot::take(&handle).await?);
        let requests = handle.clone();
        tokio::spawn(async move {
            if let Err(error) = follow(&requests, messages, &sender).await {
                tracing::error!("{error}");
            }
        });
        Ok(Self { handle, latest })
    }

    /// Waits for a change.
    pub(super) async fn changed(&mut self) -> anyhow::Result<()> {
        self.latest.changed().await.context("the kernel's messages about interfaces have ended")
    }

    /// What is known now.
    pub(super) fn snapshot(&mut self) -> Ref<'_, Snapshot> {
        self.latest.borrow_and_update()
    }
}

async fn follow(
    handle: &Handle,
    mut messages: impl Stream<Item = (NetlinkMessage<RouteNetlinkMessage>, SocketAddr)> + Unpin,
    sender: &Sender<Snapshot>,
) -> Result<(), Error> {
    while let Some((message, _)) = messages.next().await {
        let mut effect = Effect::None;
        sender.send_if_modified(|snapshot| {
            let mut next = Some(message);
            while let Some(message) = next {
                effect = effect.max(snapshot.learn(&message));
                next = messages.next().now_or_never().flatten().map(|(message, _)| message);
            }
            // What is stale is told when it has been read.
            effect == Effect::Changed
        });
        match effect {
            Effect::None | Effect::Changed => {}
            Effect::RoutesStale => {
                let routes = routes::default_routes(handle).await?;
                sender.send_modify(|snapshot| snapshot.default_routes = routes);
            }
            Effect::AllStale => {
                tracing::debug!("messages about interfaces were lost; reading all of them again");
                let mut found = Snapshot::take(handle).await?;
                sender.send_modify(|snapshot| {
                    found.succeed(snapshot);
                    *snapshot = found;
                });
            }
        }
    }
    Ok(())
}
