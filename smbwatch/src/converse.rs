//! What both sides of a connection say, from the first bytes that the kernel handed over of each.

use std::num::NonZeroUsize;

use lru::LruCache;
use smbwatch_ebpf::flow;

use crate::correlate::Key;
use crate::observation::{FlowObservation, PayloadObservation, Side};
use crate::reassemble::Stream;
use crate::smb::{self, Dialogue, Options, Protocol};

/// Connections that are listened to at a time.
const CONVERSATIONS: NonZeroUsize = NonZeroUsize::new(1 << 10).expect("not zero");
/// Bytes that are kept of all of them together.
const MAX_BYTES: usize = 4 << 20;

/// The connections that talk, or did of late.
pub struct Conversations {
    known: LruCache<Key, Conversation>,
    /// Bytes that are read of each side.
    limit: usize,
    options: Options,
    /// Bytes that are kept.
    kept: usize,
}

struct Conversation {
    latest: Box<FlowObservation>,
    sides: Option<Sides>,
    dialogue: Dialogue,
}

/// What was said so far; gone when nothing more is to be learned from it.
#[derive(Default)]
struct Sides {
    client: Option<Stream>,
    server: Option<Stream>,
}

impl Conversations {
    /// Reads up to `limit` bytes of each side.
    pub fn new(limit: usize, options: Options) -> Self {
        Self { known: LruCache::new(CONVERSATIONS), limit, options, kept: 0 }
    }

    /// Takes other limits than those that it began with.
    pub fn adapt(&mut self, limit: usize, options: Options) {
        (self.limit, self.options) = (limit, options);
    }

    /// Keeps the latest sighting of a connection that may talk.
    pub fn saw(&mut self, key: Key, sighting: &FlowObservation) {
        if self.limit == 0 || !sighting.is(flow::ESTABLISHED | flow::SMB) {
            return;
        }
        match self.known.get_mut(&key) {
            Some(known) => *known.latest = sighting.clone(),
            None => {
                let latest = Box::new(sighting.clone());
                let sides = Some(Sides::default());
                let fresh = Conversation { latest, sides, dialogue: Dialogue::default() };
                if let Some((_, forgotten)) = self.known.push(key, fresh) {
                    self.kept -= forgotten.kept();
                }
            }
        }
    }

    /// Adds what was said; tells whether anything new came of it.
    pub fn heard(&mut self, key: Key, payload: &PayloadObservation) -> bool {
        let Some(known) = self.known.get_mut(&key) else { return false };
        let before = known.kept();
        let news = known.hear(payload, self.limit, self.options);
        self.kept = self.kept + known.kept() - before;
        self.shorten();
        news
    }

    /// The latest sighting, and what has been said.
    pub fn of(&self, key: Key) -> Option<(&FlowObservation, &Dialogue)> {
        self.known.peek(&key).map(|known| (&*known.latest, &known.dialogue))
    }

    /// What has been said.
    pub fn dialogue(&self, key: Key) -> Option<&Dialogue> {
        self.known.peek(&key).map(|known| &known.dialogue)
    }

    /// Stops listening where it is longest that anything was said.
    fn shorten(&mut self) {
        if self.kept <= MAX_BYTES {
            return;
        }
        for (_, known) in self.known.iter_mut().rev() {
            self.kept -= known.kept();
            known.sides = None;
            if self.kept <= MAX_BYTES / 2 {
                break;
            }
        }
    }
}

impl Conversation {
    fn hear(&mut self, payload: &PayloadObservation, limit: usize, options: Options) -> bool {
        let Some(sides) = &mut self.sides else { return false };
        sides.add(payload, limit);
        let dialogue = smb::read(said(sides.client.as_ref()), said(sides.server.as_ref()), options);
        // What was missed may have been anything.
        let is_unsure = payload.is(flow::MIDSTREAM) && dialogue.protocol != Some(Protocol::Smb);
        if is_unsure || dialogue == self.dialogue {
            return false;
        }
        self.dialogue = dialogue;
        true
    }

    fn kept(&self) -> usize {
        let sides = self.sides.iter().flat_map(|sides| [&sides.client, &sides.server]);
        sides.flatten().map(Stream::kept).sum()
    }
}

impl Sides {
    fn add(&mut self, payload: &PayloadObservation, limit: usize) {
        let sequence = payload.sequence;
        match payload.side {
            Side::Client => {
                let is_midstream = payload.is(flow::MIDSTREAM);
                let first = if is_midstream { sequence } else { payload.initial_sequence.wrapping_add(1) };
                // What the client acknowledges before it has heard anything is where the server begins.
                self.server.get_or_insert_with(|| Stream::new(payload.acknowledgement, limit));
                self.client.get_or_insert_with(|| Stream::new(first, limit)).add(sequence, &payload.bytes.0);
            }
            Side::Server => {
                self.server
                    .get_or_insert_with(|| Stream::new(sequence, limit))
                    .add(sequence, &payload.bytes.0);
            }
        }
    }
}

fn said(side: Option<&Stream>) -> &[u8] {
    side.map(Stream::contiguous).unwrap_or_default()
}
