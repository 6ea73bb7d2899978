//! Lines as kernels write them, and command lines as people do.

use super::*;

const IPV4: &str = "345 29 0:61 / /mnt/share rw,relatime shared:190 - cifs //files.example.com/share \
    rw,vers=3.1.1,cache=strict,username=alice,domain=CORP,uid=0,noforceuid,gid=0,noforcegid,addr=93.184.216.34,\
    file_mode=0755,dir_mode=0755,soft,nounix,serverino,mapposix,rsize=4194304,wsize=4194304,bsize=1048576,\
    echo_interval=60,actimeo=1,closetimeo=1";
const IPV6: &str = "346 29 0:62 /deep /mnt/with\\040space rw shared:1 master:2 - smb3 \
    //2606-2800-220-1--1.ipv6-literal.net/a\\040b/c\\134d rw,vers=3.0,username=bob\\054smith,\
    addr=2606:2800:0220:0001:0000:0000:0000:0001,actimeo=1";
const SCOPED: &str =
    "347 29 0:63 / /mnt/l rw - cifs //fe80--1/l rw,sec=none,addr=fe80:0000:0000:0000:0000:0000:0000:0001%2";
const OTHERS: &str = "29 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
    30 29 0:5 / /dev rw - devtmpfs none rw,mode=755\nnot a line\n\
    31 29 0:40 / /mnt/x rw - fuse //evil/share rw,addr=93.184.216.34\n\
    32 29 0:41 / /mnt/y rw - cifs none rw\n33 29 0:42 / /mnt/z rw - cifs /// rw,addr=nonsense";

#[test]
fn a_mount_is_read_with_its_server_and_user() {
    let text = format!("{OTHERS}\n{IPV4}\n{IPV6}\n{SCOPED}\n");
    let mounts = parse(&text);
    assert_eq!(mounts.len(), 3, "{mounts:#?}");
    assert_eq!(
        mounts[0],
        CifsMount {
            unc: "//files.example.com/share".to_owned(),
            host: "files.example.com".to_owned(),
            mount_point: "/mnt/share".into(),
            address: Some("93.184.216.34".parse().expect("an address")),
            port: None,
            user: Some("alice".to_owned()),
            version: Some("3.1.1".to_owned()),
            device: "0:61".to_owned(),
        }
    );
    assert_eq!(mounts[1].unc, "//2606-2800-220-1--1.ipv6-literal.net/a b/c\\d");
    assert_eq!(mounts[1].mount_point, PathBuf::from("/mnt/with space"));
    assert_eq!(mounts[1].address, "2606:2800:220:1::1".parse().ok());
    assert_eq!(mounts[1].user.as_deref(), Some("bob,smith"));
    assert_eq!((mounts[2].address, &mounts[2].user), ("fe80::1".parse().ok(), &None));
}

/// What kernels have written for four mounts: a folder with a space, over IPv6, with two channels, of SMB 2.1.
const KERNELS: &str = include_str!("kernels.txt");

#[test]
fn every_kernel_is_read() {
    let kernels: Vec<_> = KERNELS.split("# ").skip(1).collect();
    assert_eq!(kernels.len(), 4);
    for kernel in kernels {
        let expected = [
            ("//files.example/share/sub dir", "/mnt/a b", "93.184.216.34", "3.1.1"),
            ("//six.example/share", "/mnt/six", "2606:2800:220:1::1", "3.1.1"),
            ("//files.example/share", "/mnt/multi", "93.184.216.34", "3.1.1"),
            ("//93.184.216.34/share", "/mnt/v1", "93.184.216.34", "2.1"),
        ];
        let mounts = parse(kernel);
        assert_eq!(mounts.len(), expected.len(), "{kernel}");
        for (mount, (unc, path, address, version)) in mounts.iter().zip(expected) {
            assert_eq!((mount.unc.as_str(), &mount.mount_point), (unc, &PathBuf::from(path)));
            assert_eq!(mount.address, address.parse().ok(), "{unc}");
            assert_eq!((mount.version.as_deref(), mount.user.as_deref()), (Some(version), Some("alice")));
            assert_eq!(mount.port, None, "{unc}");
        }
    }
}

#[test]
fn two_mounts_of_one_server_are_both_told() {
    let other = IPV4.replace("0:61", "0:64").replace("/share", "/other");
    let text = format!("{IPV4}\n{other}\n");
    let points: Vec<PathBuf> = parse(&text).into_iter().map(|mount| mount.mount_point).collect();
    assert_eq!(points, [PathBuf::from("/mnt/share"), PathBuf::from("/mnt/other")]);
}

#[test]
fn broken_escapes_stay_as_they_are() {
    for (given, meant) in
        [(r"a\040b", "a b"), (r"a\0", r"a\0"), (r"\999", r"\999"), (r"\777", r"\777"), (r"\\040", r"\ ")]
    {
        assert_eq!(unescape(given), meant.as_bytes(), "{given}");
    }
}

#[test]
fn nothing_is_mounted_from_an_address_that_nobody_has() {
    assert_eq!(of("192.0.2.1".parse().expect("an address"), 445), []);
}

#[test]
fn a_command_line_tells_what_it_mounts() {
    for (line, told) in [
        ("mount.cifs //srv/share /mnt -o user=a", Some(("//srv/share", "/mnt"))),
        ("/sbin/mount.cifs //srv/share /mnt -o rw,user=a", Some(("//srv/share", "/mnt"))),
        ("/sbin/mount.smb3 -v -o user=a //srv/share /mnt", Some(("//srv/share", "/mnt"))),
        (r"mount.cifs \\srv\share m", Some(("//srv/share", "m"))),
        ("mount -t cifs //srv/share /mnt", Some(("//srv/share", "/mnt"))),
        ("mount -tcifs -ouser=a //srv/share /mnt", Some(("//srv/share", "/mnt"))),
        ("mount -t cifs -vo user=a //srv/share /mnt", Some(("//srv/share", "/mnt"))),
        ("mount --types=cifs --options user=a //srv/share /mnt", Some(("//srv/share", "/mnt"))),
        ("mount --source //srv/share --target=/mnt -t smb3", Some(("//srv/share", "/mnt"))),
        ("mount -t cifs -o prefixpath=//x/y //srv/share/a/b /mnt", Some(("//srv/share/a/b", "/mnt"))),
        ("mount /mnt", None),
        ("mount -t nfs srv:/share /mnt", None),
        ("mount.cifs //srv/share", None),
        ("mount.cifs // /mnt", None),
        ("smbclient //srv/share /mnt", None),
        ("", None),
    ] {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let expected = told.map(|(unc, point)| (unc.to_owned(), PathBuf::from(point)));
        assert_eq!(of_arguments(&args), expected, "{line}");
    }
}

#[test]
fn this_process_is_no_kernel_thread() {
    assert!(!is_kernel_thread(std::process::id()));
    assert!(!is_kernel_thread(u32::MAX));
    // kthreadd, in the initial PID namespace.
    if fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd") {
        assert!(is_kernel_thread(2));
    }
}
