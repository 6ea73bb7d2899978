//! A newc cpio archive, as the kernel unpacks it before the first process starts.

use std::collections::BTreeSet;

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// An archive that is being written.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    names: BTreeSet<String>,
}

impl Archive {
    /// Adds an empty folder, and those around it.
    pub(super) fn folder(&mut self, path: &str) {
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            self.add(&path[..end], FOLDER, &[]);
        }
    }

    /// Adds a file that may be executed, once, and the folders around it.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        self.add(path, PROGRAM, content);
    }

    /// Whether this is there already.
    pub(super) fn has(&self, path: &str) -> bool {
        self.names.contains(path)
    }

    /// The archive's bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }

    /// `path` has no leading slash.
    fn add(&mut self, path: &str, mode: u32, content: &[u8]) {
        if path.is_empty() || !self.names.insert(path.to_owned()) {
            return;
        }
        self.entries += 1;
        let (size, name_size) = (content.len(), path.len() + 1);
        let header = format!(
            "070701{:08x}{mode:08x}{zero:08x}{zero:08x}{:08x}{zero:08x}{size:08x}{zero:08x}{zero:08x}{zero:08x}{zero:08x}{name_size:08x}{zero:08x}",
            self.entries,
            1,
            zero = 0
        );
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn entries_are_aligned_and_each_comes_once() {
        let mut archive = Archive::default();
        archive.file("test/a", b"12345");
        archive.file("test/b", b"");
        archive.file("test/b", b"again");
        assert!(archive.has("test") && archive.has("test/b") && !archive.has("a"));
        let bytes = archive.finish();
        let starts: Vec<_> = bytes.windows(6).enumerate().filter(|(_, six)| six == b"070701").collect();
        assert_eq!(starts.len(), 4);
        assert!(starts.iter().all(|(at, _)| at % 4 == 0));
    }
}
