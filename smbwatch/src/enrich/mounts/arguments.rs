//! What is about to be mounted, by the command line of mount(8) or mount.cifs(8).

use std::path::PathBuf;

/// Short options that take a value, which may be the next argument.
const SHORT: &str = "oOtTLUNp";
/// Long options that take a value, which may be the next argument.
const LONG: [&str; 8] =
    ["--options", "--test-opts", "--types", "--fstab", "--label", "--uuid", "--namespace", "--target-prefix"];

/// The share and the mount point of a command line, which tells them before the mount exists. The share is
/// written as `//HOST/SHARE`.
pub fn of_arguments(args: &[String]) -> Option<(String, PathBuf)> {
    let (program, args) = args.split_first()?;
    let program = program.rsplit('/').next().unwrap_or(program);
    if !matches!(program, "mount" | "mount.cifs" | "mount.smb3") {
        return None;
    }
    let (mut source, mut target, mut places) = (None, None, Vec::new());
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        let (option, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value)));
        match option {
            "--source" => source = value.or_else(|| args.next()),
            "--target" => target = value.or_else(|| args.next()),
            _ if value_follows(arg) => drop(args.next()),
            _ if arg.starts_with('-') => {}
            _ => places.push(arg),
        }
    }
    let mut places = places.into_iter();
    let source = source.or_else(|| places.next())?.replace('\\', "/");
    let target = target.or_else(|| places.next())?;
    super::host(&source)?;
    Some((source, target.into()))
}

/// Short options may be put together, as in `-vo`; a value may be attached, as in `-ouser=alice`.
fn value_follows(arg: &str) -> bool {
    if arg.starts_with("--") {
        return LONG.contains(&arg);
    }
    let letters = arg.strip_prefix('-').unwrap_or_default();
    letters.find(|letter| SHORT.contains(letter)).is_some_and(|at| at + 1 == letters.len())
}
