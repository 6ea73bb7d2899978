//! Whatever power takes away, what was safe is there, whole and in order.

use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::place::builder;
use super::*;

/// A disk that can lose power: what was not synced is then there or not, sector by sector.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Sectors>>);

#[derive(Debug, Default)]
struct Sectors {
    safe: Vec<u8>,
    now: Vec<u8>,
    /// Writes until power fails, and all is refused.
    left: Option<u32>,
}

const SECTOR: usize = 512;

impl Disk {
    /// Power fails after so many writes more.
    fn fail_after(&self, writes: u32) {
        self.sectors().left = Some(writes);
    }

    /// Power is back, and each unsynced sector is the old or the new one.
    fn restart(&self, random: &mut fastrand::Rng) {
        let Sectors { safe, now, left } = &mut *self.sectors();
        *left = None;
        safe.resize(safe.len().max(now.len()), 0);
        now.resize(safe.len(), 0);
        for (old, new) in safe.chunks_mut(SECTOR).zip(now.chunks(SECTOR)) {
            if random.bool() {
                old.copy_from_slice(new);
            }
        }
        now.clone_from(safe);
    }

    fn sectors(&self) -> MutexGuard<'_, Sectors> {
        self.0.lock().expect("the disk")
    }

    fn spend(&self) -> io::Result<()> {
        match &mut self.sectors().left {
            Some(0) => Err(io::Error::other("no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.sectors().now.len() as u64)
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).expect("small");
        let sectors = self.sectors();
        let bytes = sectors.now.get(start..start + length);
        bytes.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.spend()?;
        self.sectors().now.resize(usize::try_from(length).expect("small"), 0);
        Ok(())
    }

    fn sync_data(&self, _eventual: bool) -> io::Result<()> {
        self.spend()?;
        let sectors = &mut *self.sectors();
        sectors.safe.clone_from(&sectors.now);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        // The last write before power fails is torn as well.
        self.spend()?;
        let start = usize::try_from(offset).expect("small");
        self.sectors().now[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

const fn room(content: u64) -> Room {
    Room { content, chunk: content }
}

fn on(disk: &Disk, limit: u64) -> Spool {
    let disk = disk.clone();
    let place = Place::Test(Box::new(move || builder().create_with_backend(disk.clone())));
    let spool = Spool::new(place, room(limit), "test", Arc::default());
    spool.open().expect("open the spool");
    spool
}

fn in_memory(limit: u64) -> Spool {
    Spool::new(Place::Memory, room(limit), "test", Arc::default())
}

/// An alert that says its number, with a length of its own.
fn body(number: u64) -> Vec<u8> {
    let filler = usize::try_from(number * 37 % 3000).expect("small");
    format!("{number} {}", "x".repeat(filler)).into_bytes()
}

fn number(body: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(body);
    let number = text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    assert_eq!(body, self::body(number), "not torn");
    number
}

fn append(spool: &Spool, bodies: &[Vec<u8>]) {
    spool.tally.update(|counts| {
        counts.made += bodies.len() as u64;
        counts.queued += bodies.len() as u64;
    });
    spool.append(bodies);
    assert!(spool.tally.counts().agrees(), "{:?}", spool.tally.counts());
}

fn numbers(spool: &Spool) -> Vec<u64> {
    spool.oldest(usize::MAX).expect("read the spool").iter().map(|(_, body)| number(body)).collect()
}

#[test]
fn what_was_safe_survives_a_loss_of_power() {
    let mut random = fastrand::Rng::with_seed(6);
    for round in 0..10 {
        let disk = Disk::default();
        let spool = on(&disk, 1 << 30);
        disk.fail_after(random.u32(0..200));
        let (mut made, mut safe, mut settled) = (0, 0, 0);
        while !spool.lock().failing {
            let bodies: Vec<_> = (made..made + random.u64(1..8)).map(body).collect();
            made += bodies.len() as u64;
            append(&spool, &bodies);
            if spool.lock().failing {
                break;
            }
            safe = made;
            if random.bool()
                && let Ok(batch) = spool.oldest(random.usize(1..4))
            {
                let keys: Vec<u64> = batch.iter().map(|(key, _)| *key).collect();
                settled = number(&batch.last().expect("an alert").1) + 1;
                spool.settle(&keys, &[]);
            }
        }
        drop(spool);
        disk.restart(&mut random);
        let found = numbers(&on(&disk, 1 << 30));
        // What was delivered may come again, and what was not yet said to be safe may be there.
        let (first, last) =
            (found.first().copied().unwrap_or(settled), found.last().map_or(settled, |last| last + 1));
        assert!(
            first <= settled && last >= safe.max(first) && last <= made,
            "round {round}: {found:?} of {safe}"
        );
        assert_eq!(found, (first..first + found.len() as u64).collect::<Vec<_>>(), "round {round}");
    }
}

#[test]
fn the_oldest_make_room_but_not_those_on_their_way() {
    let spool = in_memory(10 * cost(&[0; 1000]));
    let thousand = |numbers: RangeInclusive<u8>| numbers.map(|number| vec![number; 1000]).collect::<Vec<_>>();
    append(&spool, &thousand(1..=8));
    let keys: Vec<u64> = spool.oldest(2).expect("read").iter().map(|(key, _)| *key).collect();
    assert!(keys.is_sorted() && keys.len() == 2, "{keys:?}");
    append(&spool, &thousand(9..=13));
    let counts = spool.tally.counts();
    assert_eq!((counts.spooled, counts.lost.evicted), (10, 3));
    spool.settle(&keys, &[]);
    let left: Vec<u8> = spool.oldest(99).expect("read").iter().map(|(_, body)| body[0]).collect();
    assert_eq!(left, (6..=13).collect::<Vec<_>>());
    assert!(spool.tally.counts().agrees());
}

#[test]
fn what_failed_to_be_removed_is_not_delivered_again() {
    let disk = Disk::default();
    let spool = on(&disk, 1 << 20);
    append(&spool, &[body(1), body(2), body(3)]);
    let keys: Vec<u64> = spool.oldest(2).expect("read").iter().map(|(key, _)| *key).collect();
    disk.fail_after(0);
    spool.settle(&keys, &[]);
    assert_eq!(spool.tally.counts().delivered, 2);
    disk.sectors().left = None;
    assert_eq!(numbers(&spool), [3]);
    append(&spool, &[body(4)]);
    assert_eq!(numbers(&spool), [3, 4]);
    assert!(spool.tally.counts().agrees() && !spool.lock().failing);
}

#[test]
fn the_account_is_right_wherever_the_disk_fails() {
    for writes in 0..24 {
        let disk = Disk::default();
        let spool = on(&disk, 1 << 20);
        append(&spool, &[body(1), body(2), body(3)]);
        let first: Vec<u64> = spool.oldest(1).expect("read").iter().map(|(key, _)| *key).collect();
        disk.fail_after(writes);
        append(&spool, &[body(4), body(5)]);
        spool.settle(&first, &[]);
        disk.sectors().left = None;
        append(&spool, &[body(6)]);
        let rest = spool.oldest(99).expect("read");
        let keys: Vec<u64> = rest.iter().map(|(key, _)| *key).collect();
        spool.settle(&keys, &[]);
        let counts = spool.tally.counts();
        assert!(counts.agrees() && counts.spooled == 0, "{writes}: {counts:?}");
        assert_eq!(counts.delivered, 1 + keys.len() as u64, "{writes}: {counts:?}");
        // A write that fails, and comes to be all the same, is counted as lost and as found.
        assert!(
            [0, 2].contains(&counts.inherited) && counts.inherited <= counts.lost.unspooled,
            "{writes}: {counts:?}"
        );
    }
}

#[test]
fn a_damaged_file_is_set_aside_and_a_new_one_begun() {
    let folder = std::env::temp_dir().join(format!("smbw-t-{}-damage", std::process::id()));
    let path = folder.join("siem.redb");
    let mut random = fastrand::Rng::with_seed(7);
    let open = || {
        let spool = Spool::new(Place::File(path.clone()), room(1 << 20), "siem", Arc::default());
        spool.open().expect("open");
        spool
    };
    for round in 0..8 {
        let _ = std::fs::remove_dir_all(&folder);
        let spool = open();
        append(&spool, &(0..20).map(body).collect::<Vec<_>>());
        drop(spool);
        let mut bytes = std::fs::read(&path).expect("read the spool");
        if round % 2 == 0 {
            bytes.truncate(random.usize(1..bytes.len()));
        } else {
            let start = random.usize(..bytes.len() - 4096);
            bytes[start..start + 4096].fill(random.u8(..));
        }
        std::fs::write(&path, bytes).expect("damage the spool");
        // Where the damage is not noticed, no alert was hit.
        let spool = open();
        assert!(numbers(&spool).len() <= 20);
        append(&spool, &[body(99)]);
        assert_eq!(numbers(&spool).last(), Some(&99));
    }
    std::fs::remove_dir_all(&folder).expect("remove the folder");
}

#[test]
fn a_file_stays_within_its_bounds_whatever_is_in_it() {
    const FILE: u64 = 8 << 20;
    let folder = std::env::temp_dir().join(format!("smbw-t-{}-bounds", std::process::id()));
    let mut random = fastrand::Rng::with_seed(7);
    for sizes in [100..300, 900..1100, 1350..1500, 2000..2100, 3000..5000, 8100..8300, 100..9000] {
        let _ = std::fs::remove_dir_all(&folder);
        let path = folder.join("siem.redb");
        let spool = Spool::new(Place::File(path.clone()), Room::of(FILE), "siem", Arc::default());
        let (mut largest, mut made) = (0, 0);
        while made < 3 * FILE {
            let bodies: Vec<Vec<u8>> = (0..64).map(|_| vec![b'x'; random.usize(sizes.clone())]).collect();
            made += bodies.iter().map(|body| body.len() as u64).sum::<u64>();
            append(&spool, &bodies);
            if random.u8(..8) == 0 {
                let keys: Vec<u64> = spool.oldest(256).expect("read").iter().map(|(key, _)| *key).collect();
                spool.settle(&keys[..keys.len() / 2], &[]);
            }
            largest = largest.max(std::fs::metadata(&path).expect("the file").len());
        }
        let counts = spool.tally.counts();
        let held: usize =
            spool.oldest(usize::MAX).expect("read").iter().map(|(_, body)| body.len()).sum::<usize>();
        eprintln!(
            "{sizes:?}: {} alerts, {} KiB at once in a file of {} KiB; by cost {} KiB",
            counts.spooled,
            held / 1024,
            largest / 1024,
            counts.spooled_bytes / 1024
        );
        assert!(largest <= FILE + (1 << 20), "{sizes:?}: {largest}");
        assert!(counts.agrees() && counts.lost.evicted > 0 && counts.lost.unspooled == 0, "{counts:?}");
    }
    std::fs::remove_dir_all(&folder).expect("remove the folder");
}
