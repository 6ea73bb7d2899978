//! Passwords that SMB tools take on their command line never leave the host.
//!
//! Where it is not clear what an argument is, rather too much of it is hidden than too little.

const HIDDEN: &str = "[hidden]";

/// Ends of the names of options, variables and keys whose value is a password, or a hash that serves as one.
const SECRETS: [&str; 10] =
    ["password", "password2", "passwd", "pass", "pw", "-pwd", "_pwd", "hash", "hashes", "aeskey"];
/// Options that end like that, but take no value.
const FLAGS: [&str; 3] = ["no-pass", "machine-pass", "pw-nt-hash"];
/// Ends of names whose value is a user, perhaps with a password behind one of [`MARKS`].
const USERS: [&str; 5] = ["user", "username", "logname", "auth-rpc", "auth-transport"];
/// What parts user and password: with Samba's tools, curl, lftp.
const MARKS: [char; 3] = ['%', ':', ','];
/// Options whose value is a comma-separated list.
const LISTS: [&str; 3] = ["-o", "--options", "--script-args"];

/// A program that takes passwords in its own way. With others, `-p` is a port and `-H` a host.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tool {
    /// `-p` and `-H`, with any number of passwords behind each.
    NetExec,
    /// `-p PASSWORD` and `-H HASH`.
    PasswordOrHash,
    /// `-p PASSWORD`.
    Password,
    /// A password behind the service.
    Smbclient,
}

/// What an argument is, by those before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Any,
    User,
    List,
    Secret,
    SecretOrOption,
}

/// Hides the passwords in an argument list; the number of arguments stays.
pub fn redact(arguments: &mut [String]) {
    // Scripts stand behind their interpreter, and commands behind those that start them.
    let mut tools = Vec::new();
    let mut role = Role::Any;
    for argument in arguments {
        if matches!(role, Role::SecretOrOption | Role::User) && argument.starts_with('-') {
            role = Role::Any;
        }
        let next = next_role(argument, &tools, role);
        let shown = match role {
            Role::Secret | Role::SecretOrOption => HIDDEN.to_owned(),
            Role::User => hide_behind_mark(argument).unwrap_or_else(|| hide_in(argument)),
            Role::List => hide_in_list(argument),
            Role::Any => match short_of(argument, &tools) {
                Some(short) if argument != short => format!("{short}{HIDDEN}"),
                Some(_) | None => hide_in(argument),
            },
        };
        tools.extend(Tool::of(argument));
        role = next;
        *argument = shown;
    }
}

impl Tool {
    fn of(argument: &str) -> Option<Self> {
        let file = argument.rsplit('/').next()?.to_ascii_lowercase();
        match file.split('.').next()? {
            "cme" | "crackmapexec" | "netexec" | "nxc" => Some(Self::NetExec),
            "enum4linux-ng" | "evil-winrm" | "lsassy" | "manspider" | "smbclient-ng" => {
                Some(Self::PasswordOrHash)
            }
            "bloodhound-python" | "certipy" | "coercer" | "enum4linux" | "hydra" | "medusa"
            | "petitpotam" | "smbget" | "smbmap" | "smbtar" => Some(Self::Password),
            "smbclient" | "pth-smbclient" => Some(Self::Smbclient),
            _ => None,
        }
    }

    const fn shorts(self) -> &'static [&'static str] {
        match self {
            Self::NetExec | Self::PasswordOrHash => &["-p", "-H"],
            Self::Password => &["-p"],
            Self::Smbclient => &[],
        }
    }
}

/// The short option for a password that an argument begins with.
fn short_of(argument: &str, tools: &[Tool]) -> Option<&'static str> {
    tools.iter().flat_map(|tool| tool.shorts()).copied().find(|short| argument.starts_with(short))
}

/// What the argument behind this one is.
fn next_role(argument: &str, tools: &[Tool], role: Role) -> Role {
    let name = argument.trim_start_matches('-');
    let is_option = name != argument && name_at_end(name) == name && !FLAGS.contains(&name);
    if short_of(argument, tools) == Some(argument) || is_option && ends_like(name, &SECRETS) {
        Role::Secret
    } else if LISTS.contains(&argument) {
        Role::List
    } else if is_option && (ends_like(name, &USERS) || ends_like(name, &["u"])) {
        Role::User
    } else if tools.contains(&Tool::Smbclient) && (argument.starts_with("//") || argument.starts_with("\\\\"))
        || tools.contains(&Tool::NetExec) && matches!(role, Role::Secret | Role::SecretOrOption)
    {
        Role::SecretOrOption
    } else {
        Role::Any
    }
}

fn hide_in(argument: &str) -> String {
    if let Some(list) = argument.strip_prefix("-o") {
        return format!("-o{}", hide_in_list(list));
    }
    if let Some((option, list)) = argument.split_once('=')
        && LISTS.contains(&option)
    {
        return format!("{option}={}", hide_in_list(list));
    }
    hide_in_text(argument)
}

fn hide_in_list(list: &str) -> String {
    let items: Vec<String> = list.split(',').map(hide_in_text).collect();
    items.join(",")
}

fn hide_in_text(text: &str) -> String {
    let mut shown = text.to_owned();
    for hide in [hide_assigned, hide_in_url, hide_behind_short_user] {
        shown = hide(&shown).unwrap_or(shown);
    }
    if !shown.contains(' ') {
        return shown;
    }
    // Perhaps a command line of its own, as for `sh -c`.
    let mut words: Vec<String> = shown.split(' ').map(str::to_owned).collect();
    redact(&mut words);
    words.join(" ")
}

/// `PASSWD=pw`, `--password=pw`, `USER=alice%pw`; a password may hold anything, so the rest goes with it.
fn hide_assigned(text: &str) -> Option<String> {
    text.match_indices('=').find_map(|(at, _)| {
        let (before, value) = (text.get(..at)?, text.get(at + 1..)?);
        let name = name_at_end(before);
        if ends_like(name, &SECRETS) {
            Some(format!("{before}={HIDDEN}"))
        } else if ends_like(name, &USERS) {
            hide_behind_mark(value).map(|user| format!("{before}={user}"))
        } else {
            None
        }
    })
}

/// `smb://user:password@host`, and `domain/user:password@host` as Impacket's tools take it.
fn hide_in_url(text: &str) -> Option<String> {
    let colon = text.find(':')?;
    let scheme = if text.get(colon..)?.starts_with("://") { colon + 3 } else { 0 };
    let (credentials, host) = text.get(scheme..)?.rsplit_once('@')?;
    let (user, _) = credentials.split_once(':')?;
    Some(format!("{}{user}:{HIDDEN}@{host}", text.get(..scheme)?))
}

/// `-Ualice%pw`, and `-sualice:pw` behind other short options.
fn hide_behind_short_user(argument: &str) -> Option<String> {
    let shorts = argument.strip_prefix('-')?;
    let (before, user) = shorts.split_at_checked(shorts.find(['u', 'U'])? + 1)?;
    let hidden = hide_behind_mark(user)?;
    before.chars().all(char::is_alphabetic).then(|| format!("-{before}{hidden}"))
}

fn hide_behind_mark(user: &str) -> Option<String> {
    let (name, _) = user.split_at_checked(user.find(MARKS)? + 1)?;
    Some(format!("{name}{HIDDEN}"))
}

fn ends_like(name: &str, ends: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    ends.iter().any(|end| name.ends_with(end))
}

fn name_at_end(text: &str) -> &str {
    text.rsplit(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_')).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(given: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = given.iter().map(|argument| (*argument).to_owned()).collect();
        redact(&mut arguments);
        arguments
    }

    /// What is hidden is between braces.
    #[test]
    fn passwords_are_hidden_and_the_rest_stays() {
        for line in [
            // Samba.
            r"smbclient //h/s -U CORP\alice%{pw} -c ls",
            r"smbclient -UCORP\alice%{pw} //h/s",
            "smbclient --user=alice%{p%w} //h/s",
            "smbclient -NU alice%{pw} //h/s",
            "smbclient --password {pw} -N",
            "smbclient --password={a,b} //h/s",
            "/usr/bin/smbclient //h/s {pw} -c ls",
            r"smbclient \\h\s {pw}",
            "smbclient //h/s -U alice -p 445",
            "smbclient --pw-nt-hash //h/s -U alice%{31d6}",
            "smbclient --no-pass -L h",
            "rpcclient -U alice%{pw} --machine-pass h",
            "net ads join -U admin%{pw} --option=x=y",
            "smbget -U alice%{pw} smb://h/s/f",
            "smbget -u alice -p {pw} smb://h/s/f",
            "smbget smb://corp;alice:{pw}@h/s/f",
            "env PASSWD={pw} smbclient",
            "env USER=alice%{pw} PASSWD_FILE=/f smbclient",
            "winexe -U corp/alice%{pw} //h cmd",
            "pth-wmic -U alice%{aad3:31d6} //h",
            // Mounts.
            "mount -t cifs //h/s /m -o user=alice,password={a},vers=3.0",
            "mount.cifs //h/s /m -o rw,username=alice%{pw},vers=3.0",
            "mount.cifs //h/s /m -ouser=corp/alice%{pw},pass={pw},password2={b},ro",
            "mount --options=ro,pass={pw},vers=3.0 //h/s",
            "mount.cifs //h/s /m -o credentials=/etc/cred,sec=krb5",
            "gio mount smb://alice:{p@w:x}@h/s",
            // curl, lftp, rclone.
            "curl smb://alice:{pw}@h/s",
            "curl smb://u:{p,w}@h/s",
            "curl --url=smb://u:{pw}@h/s",
            r"curl -u corp\alice:{pw} smb://h/s",
            "curl -ualice:{pw} smb://h/s",
            "curl -sku alice:{pw} smb://h/s",
            "curl -skualice:{pw} smb://h/s",
            "curl --user alice:{pw} --proxy-user bob:{pw} smb://h/s",
            "lftp -u alice,{pw} h",
            "rclone ls --smb-user alice --smb-pass {pw} :smb:s",
            "rclone ls :smb,host=h,pass={pw:s}",
            // Impacket.
            "smbclient.py corp/alice:{p@w}@10.0.0.1",
            "smbclient.py corp/alice:{p://w}@10.0.0.1",
            "smbclient.py corp/alice@10.0.0.1 -port 445",
            "wmiexec.py -hashes {aad3:31d6} alice@h",
            "wmiexec.py -aesKey {ff} -k -no-pass alice@h",
            "changepasswd.py corp/alice:{pw}@h -newpass {pw} -althash {31d6}",
            "rpcmap.py ncacn_np:h -auth-transport corp/alice:{pw}",
            // Others.
            "python3 /usr/bin/nxc smb h -u alice -p {pw} {pw2} --shares",
            "crackmapexec smb h -u alice -H {31d6} --port 445",
            "cme smb h -p{Winter26} -H{31d6}",
            "netexec smb h -u alice -p{=pw}",
            "nxc smb h -u smbmap -H {31d6}",
            "smbmap -u alice -p {pw} -H h",
            "certipy find -u alice@corp -p {pw} -dc-ip 10.0.0.1",
            "evil-winrm -i h -u alice -p {pw} -P 5985",
            "python3 PetitPotam.py -u alice -p {pw} h h2",
            "vlc --smb-user alice --smb-pwd {pw} smb://h/s",
            "java -Djcifs.smb.client.password={pw} Main",
            "enum4linux.pl -u alice -p {pw} h",
            "nmap --script-args smbusername=a,smbpassword={pw},x=y -p 445 h",
            // Not passwords.
            "ssh alice@h -p 22",
            "ssh -o Port=22,x=y alice@h",
            "kinit -kt /etc/krb5.keytab alice@CORP",
            "PWD=/root tool -H h -p 445 --url=smb://h/s",
        ] {
            let given = line.replace(['{', '}'], "");
            let given: Vec<&str> = given.split(' ').collect();
            let mut expected = String::new();
            for (index, part) in line.split(['{', '}']).enumerate() {
                expected.push_str(if index % 2 == 0 { part } else { HIDDEN });
            }
            assert_eq!(shown(&given).join(" "), expected);
        }
    }

    #[test]
    fn a_command_inside_an_argument_is_looked_into() {
        for (given, expected) in [
            ("curl -u alice:pw smb://h/s", "curl -u alice:[hidden] smb://h/s"),
            ("cd /x; nxc smb h -p pw", "cd /x; nxc smb h -p [hidden]"),
            ("PASSWD=my own pw", "PASSWD=[hidden]"),
            ("put customers.csv; ls", "put customers.csv; ls"),
        ] {
            assert_eq!(shown(&["sh", "-c", given])[2], expected);
        }
        assert_eq!(shown(&["smbclient", "--password", "a b"])[2], HIDDEN);
    }

    #[test]
    fn arguments_made_to_be_long_are_no_trouble() {
        for part in ["-o", "-o ", "=", "user=", "cme ", "://@:", ",-o", "-o=u:"] {
            let long = part.repeat(4096 / part.len());
            assert_eq!(shown(&[&long]).len(), 1);
            assert_eq!(shown(&vec![part; 2048]).len(), 2048);
        }
    }
}
