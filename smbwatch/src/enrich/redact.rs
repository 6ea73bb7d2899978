//! Passwords that SMB tools take on their command line never leave the host.

const HIDDEN: &str = "[hidden]";

/// Options whose next argument is a password or hash.
const SECRET_FOLLOWS: [&str; 6] = ["--password", "--pw-nt-hash", "-hashes", "--hashes", "-aesKey", "--pass"];
/// Options whose next argument is `USER%PASSWORD`.
const USER_FOLLOWS: [&str; 3] = ["-U", "--user", "--username"];
/// Keys of `key=value`, alone, behind dashes, or in a comma-separated list of mount options.
const SECRET_KEYS: [&str; 7] = ["password", "password2", "pass", "pw", "passwd", "hashes", "aesKey"];

/// Hides the passwords in an argument list; the number of arguments stays.
pub fn redact(arguments: &mut [String]) {
    let mut before = String::new();
    for argument in arguments {
        let shown = if SECRET_FOLLOWS.contains(&before.as_str()) {
            HIDDEN.to_owned()
        } else if USER_FOLLOWS.contains(&before.as_str()) {
            hide_after(argument, '%')
        } else {
            redact_one(argument)
        };
        before = std::mem::replace(argument, shown);
    }
}

fn redact_one(argument: &str) -> String {
    if let Some(user) = argument.strip_prefix("-U") {
        return format!("-U{}", hide_after(user, '%'));
    }
    if let Some((option, user)) = argument.split_once('=')
        && USER_FOLLOWS.contains(&option)
    {
        return format!("{option}={}", hide_after(user, '%'));
    }
    let items: Vec<String> = argument.split(',').map(redact_item).collect();
    items.join(",")
}

fn redact_item(item: &str) -> String {
    if let Some((key, _)) = item.split_once('=')
        && SECRET_KEYS.contains(&key.trim_start_matches('-'))
    {
        return format!("{key}={HIDDEN}");
    }
    // `smb://user:password@host`, and `domain/user:password@host` as Impacket's tools take it.
    if let Some((credentials, host)) = item.rsplit_once('@')
        && let Some(colon) = credentials.rfind(':')
        && let Some((user, _)) = credentials.split_at_checked(colon + 1)
        && !user.ends_with("//:")
    {
        return format!("{user}{HIDDEN}@{host}");
    }
    item.to_owned()
}

fn hide_after(text: &str, mark: char) -> String {
    text.split_once(mark).map_or_else(|| text.to_owned(), |(user, _)| format!("{user}{mark}{HIDDEN}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_and_the_rest_stays() {
        for (given, shown) in [
            ("smbclient //h/s -U CORP\\alice%pw -c ls", "smbclient //h/s -U CORP\\alice%[hidden] -c ls"),
            ("smbclient -UCORP\\alice%pw //h/s", "smbclient -UCORP\\alice%[hidden] //h/s"),
            ("smbclient --user=alice%p%w //h/s", "smbclient --user=alice%[hidden] //h/s"),
            ("smbclient --password pw -N", "smbclient --password [hidden] -N"),
            ("smbclient --password=pw", "smbclient --password=[hidden]"),
            (
                "mount -t cifs //h/s /m -o user=alice,password=a,vers=3.0",
                "mount -t cifs //h/s /m -o user=alice,password=[hidden],vers=3.0",
            ),
            ("curl smb://alice:pw@h/s", "curl smb://alice:[hidden]@h/s"),
            ("smbclient.py corp/alice:p@w@10.0.0.1", "smbclient.py corp/alice:[hidden]@10.0.0.1"),
            ("wmiexec.py -hashes aad3:31d6 alice@h", "wmiexec.py -hashes [hidden] alice@h"),
            ("smbclient //h/s -U alice", "smbclient //h/s -U alice"),
            ("ssh alice@h -p 22", "ssh alice@h -p 22"),
        ] {
            let mut arguments: Vec<String> = given.split(' ').map(str::to_owned).collect();
            redact(&mut arguments);
            assert_eq!(arguments.join(" "), shown);
        }
    }
}
