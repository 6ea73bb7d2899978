//! Every kind of sink against every fault of the other side: what arrived and what is counted as lost is what was made,
//! and nothing arrives torn.
//!
//! It is its own harness, so that each pair is a test, and because a disk is full for a process of its own: the test
//! starts its own executable again.

mod support;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use smbwatch::config::Config;
use smbwatch::sink::{self, Counts, Format, Lost, Running};
use support::alerts::{Maker, close, send, start, wait_for};
use support::guard::Guard;
use support::lab::{End, Lab};
use support::receivers::{Kind, Mood, Receiver, wait_until};
use support::skip::skip;

/// The first argument of a process whose spool's disk is too small.
const CHILD: &str = "spool-on-a-small-disk";
/// More than one batch.
const SOME: usize = 300;
const MANY: usize = 1500;
/// Datagrams that a Unix socket holds (`net.unix.max_dgram_qlen` and one more), and the one that is just being read.
const UNREAD: usize = 12;

/// What is wrong with the other side, or with the spool.
#[derive(Clone, Copy, Debug)]
enum Fault {
    DownAtStart,
    KilledMidway,
    Slow,
    Busy,
    RefusesSome,
    FullDisk,
}

impl Fault {
    const ALL: [Self; 6] =
        [Self::DownAtStart, Self::KilledMidway, Self::Slow, Self::Busy, Self::RefusesSome, Self::FullDisk];
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, config, folder] = &arguments[..]
        && first == CHILD
    {
        spool_on_a_small_disk(config, Path::new(folder));
        return ExitCode::SUCCESS;
    }
    let cells = Kind::ALL.into_iter().flat_map(|kind| Fault::ALL.map(|fault| (kind, fault)));
    let tests = cells.map(|(kind, fault)| {
        let name = format!("{}::{}", words(kind), words(fault));
        Trial::test(name.clone(), move || {
            test(&name, kind, fault);
            Ok(())
        })
    });
    // They wait more than they work.
    let arguments = Arguments { test_threads: Some(6), ..Arguments::from_args() };
    libtest_mimic::run(&arguments, tests.collect()).exit_code()
}

fn test(name: &str, kind: Kind, fault: Fault) {
    if let Some(reason) = kind.obstacle() {
        return skip(name, reason);
    }
    let Some(lab) = Lab::make(name) else { return };
    let receiver = kind.receiver(&lab);
    let cell = Cell { name, kind, lab: &lab, receiver, maker: Maker::new() };
    match fault {
        Fault::DownAtStart => cell.down_at_start(),
        Fault::KilledMidway => cell.killed_midway(),
        Fault::Slow => cell.slow(),
        Fault::Busy => cell.busy(),
        Fault::RefusesSome => cell.refuses_some(),
        Fault::FullDisk => cell.full_disk(),
    }
}

struct Cell<'a> {
    name: &'a str,
    kind: Kind,
    lab: &'a Lab,
    receiver: Box<dyn Receiver + 'a>,
    maker: Maker,
}

impl Cell<'_> {
    fn down_at_start(mut self) {
        let sink = self.sink();
        let made = send(&sink, &mut self.maker, SOME);
        wait_for(&sink, "all are in the spool", |counts| counts.spooled == SOME as u64);
        self.receiver.start(Mood::Taking);
        assert_eq!(all_settled(sink, SOME), Lost::default());
        same(&self.arrived(made.len()), &made);
    }

    fn killed_midway(mut self) {
        self.receiver.start(Mood::Dying);
        let sink = self.sink();
        let mut made = send(&sink, &mut self.maker, MANY);
        let counts = wait_for(&sink, "some are delivered", |counts| counts.delivered > 0);
        self.receiver.stop();
        assert!(counts.delivered < MANY as u64, "killed too late: {counts:?}");
        let before = if self.kind.answers() { Vec::new() } else { self.receiver.arrived() };
        made.extend(send(&sink, &mut self.maker, SOME));
        wait_for(&sink, "none is in the queue", |counts| counts.queued == 0);
        self.receiver.start(Mood::Taking);
        wait_for(&sink, "all are delivered", |counts| counts.delivered == made.len() as u64);
        if self.kind.answers() {
            // What was taken and not answered for comes again.
            let mut once = BTreeSet::new();
            let mut arrived = self.arrived(made.len());
            arrived.retain(|id| once.insert(id.clone()));
            same(&arrived, &made);
        } else {
            self.all_but_a_gap(&made, before.len());
        }
        // One that dies at rest takes nothing with it, and what is made since waits for the next.
        let rest = self.receiver.arrived().len();
        self.receiver.stop();
        let more = send(&sink, &mut self.maker, SOME);
        self.receiver.start(Mood::Taking);
        assert_eq!(all_settled(sink, made.len() + SOME), Lost::default());
        same(&self.arrived(rest + SOME)[rest..], &more);
    }

    fn slow(mut self) {
        self.receiver.start(Mood::Slow);
        let sink = self.sink();
        let made = send(&sink, &mut self.maker, MANY);
        let counts = sink.tally.counts();
        assert!(counts.agrees() && counts.delivered < MANY as u64, "nothing waits: {counts:?}");
        assert_eq!(all_settled(sink, MANY), Lost::default());
        same(&self.arrived(made.len()), &made);
    }

    fn busy(mut self) {
        self.receiver.start(Mood::Busy);
        let sink = self.sink();
        let mut made = send(&sink, &mut self.maker, SOME);
        wait_for(&sink, "the sink is sent away", |_| self.receiver.has_refused());
        self.receiver.stop();
        self.receiver.start(Mood::Taking);
        made.extend(send(&sink, &mut self.maker, SOME));
        assert_eq!(all_settled(sink, made.len()), Lost::default());
        // By TCP, what went to one that accepts and goes away is as lost as with one that dies.
        if self.kind == Kind::SyslogTcp {
            self.all_but_a_gap(&made, 0);
        } else {
            same(&self.arrived(made.len()), &made);
        }
    }

    fn refuses_some(mut self) {
        let sink = self.sink();
        let mut made = Vec::new();
        let mut never = Vec::new();
        for number in 0..SOME {
            let mut alert = self.maker.smb();
            if number == 17 || number == 250 {
                // Too long for a datagram, or for a broker; journald and those who read a stream can take it.
                let length = if self.kind == Kind::Kafka { 1_200_000 } else { 300_000 };
                alert.event.reason = "x".repeat(length);
                never.push(alert.event.id.clone());
            }
            made.push(alert.event.id.clone());
            sink.send(&Arc::new(alert));
        }
        wait_for(&sink, "all are in the spool", |counts| counts.spooled == SOME as u64);
        self.receiver.start(Mood::Refusing(never.clone()));
        let lost = all_settled(sink, SOME);
        match self.kind {
            Kind::SyslogTcp | Kind::SyslogTls | Kind::Journald => never.clear(),
            Kind::Webhook
            | Kind::Elasticsearch
            | Kind::OtlpGrpc
            | Kind::OtlpHttp
            | Kind::SyslogUnix
            | Kind::Kafka => made.retain(|id| !never.contains(id)),
        }
        assert_eq!(lost, Lost { refused: never.len() as u64, ..Lost::default() });
        same(&self.arrived(made.len()), &made);
    }

    fn full_disk(mut self) {
        let disk = self.lab.folder().join("disk");
        std::fs::create_dir(&disk).expect("create a folder");
        let mut child = self.lab.at(End::Host, "unshare");
        child.args(["--mount", "--propagation", "private", "sh", "-c"]);
        child.arg("mount -t tmpfs -o size=3m none \"$0\" && exec \"$@\"").arg(&disk);
        child.arg(std::env::current_exe().expect("this test")).arg(CHILD);
        child.arg(self.receiver.config()).arg(&disk);
        let mut child = Guard(child.stdout(Stdio::piped()).spawn().expect("start the child"));
        let said = BufReader::new(child.0.stdout.take().expect("a pipe"));
        let mut said = said.lines().map_while(Result::ok);
        assert_eq!(said.next().as_deref(), Some("full"));
        self.receiver.start(Mood::Taking);
        let account = said.next().expect("an account");
        assert!(child.0.wait().expect("wait for the child").success());
        let numbers: Vec<u64> = account.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [made, delivered, unspooled] = numbers[..] else { panic!("{account}") };
        assert!(delivered > 0 && unspooled > 0 && made == delivered + unspooled, "{account}");
        let arrived = self.arrived(usize::try_from(delivered).expect("not so many"));
        let once: BTreeSet<&String> = arrived.iter().collect();
        assert_eq!((arrived.len() as u64, once.len() as u64), (delivered, delivered));
        eprintln!("{}: {delivered} of {made} arrived, {unspooled} found no room", self.name);
    }

    /// Starts the sink.
    fn sink(&self) -> Running {
        start(self.lab, &self.receiver.config())
    }

    /// What has arrived, once it is enough. Who does not answer may still be reading.
    fn arrived(&mut self, count: usize) -> Vec<String> {
        let mut arrived = self.receiver.arrived();
        wait_until(&format!("{count} alerts have arrived"), || {
            arrived = self.receiver.arrived();
            arrived.len() >= count
        });
        arrived
    }

    /// The guarantee of a way without answers: what a receiver that dies has not read is lost to both sides. That is one
    /// stretch, just before the end; what came before has arrived, and so has everything since then, in order.
    fn all_but_a_gap(&mut self, made: &[String], before: usize) {
        let last = made.last();
        wait_until("the last alert has arrived", || self.receiver.arrived().last() == last);
        let arrived = self.receiver.arrived();
        let (first, since) = arrived.split_at(before);
        same(first, &made[..before]);
        assert!(
            since.len() >= SOME,
            "{} alerts have come since, of {SOME} that were made since",
            since.len()
        );
        same(since, &made[made.len() - since.len()..]);
        let gap = made.len().saturating_sub(arrived.len());
        eprintln!("{}: {gap} of {} were lost with the receiver", self.name, made.len());
        match self.kind {
            Kind::SyslogUnix | Kind::Journald => {
                assert!(gap <= UNREAD, "{gap} are more than its socket holds")
            }
            // A stream has buffers of some MiB.
            Kind::SyslogTcp | Kind::SyslogTls => {}
            Kind::Webhook | Kind::Elasticsearch | Kind::OtlpGrpc | Kind::OtlpHttp | Kind::Kafka => {
                unreachable!("{:?} answers", self.kind)
            }
        }
    }
}

/// Waits for the end of a sink that was given so many alerts. Tells which were lost, and why; all others are delivered.
fn all_settled(sink: Running, count: usize) -> Lost {
    wait_for(&sink, "all are settled", |counts| counts.queued + counts.spooled == 0);
    let counts = close(sink);
    let Counts { made, delivered, lost, .. } = counts;
    assert_eq!((made, delivered), (count as u64, count as u64 - lost.total()), "{counts:?}");
    lost
}

/// Whether the same alerts are in both lists, in the same order.
fn same(arrived: &[String], made: &[String]) {
    let equal = arrived.iter().zip(made).take_while(|(arrived, made)| arrived == made).count();
    let (first, second) = (arrived.get(equal), made.get(equal));
    let (of, instead) = (arrived.len(), made.len());
    assert!(
        first.is_none() && second.is_none(),
        "{of} have arrived of {instead}: {equal} are the same, then {first:?} instead of {second:?}"
    );
}

/// Fills a disk that is too small, and then says what became of the alerts.
fn spool_on_a_small_disk(config: &str, folder: &Path) {
    let say = |text: &str| writeln!(std::io::stdout(), "{text}").expect("say so");
    let config = Config::parse(config, Path::new("test.toml"), None).expect("a configuration");
    let sink = sink::start(&config.sinks[0], folder, Format::Json).expect("start the sink");
    send(&sink, &mut Maker::new(), 3000);
    let full = wait_for(&sink, "the queue is empty", |counts| counts.queued == 0);
    assert!(full.lost.unspooled > 0 && full.spooled > 0, "{full:?}");
    say("full");
    let counts = wait_for(&sink, "all is settled", |counts| counts.spooled == 0);
    assert_eq!(counts.lost, Lost { unspooled: counts.lost.unspooled, ..Lost::default() });
    // A write that failed may have come to be all the same.
    say(&format!("{} {} {}", counts.made + counts.inherited, counts.delivered, counts.lost.unspooled));
}

/// A name as those of tests are written.
fn words(name: impl Debug) -> String {
    let mut words = String::new();
    for letter in format!("{name:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}
