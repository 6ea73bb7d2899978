//! What configurations mean, and which are refused.

use std::fmt::Write as _;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("test.toml"), None).map_err(|error| error.to_string())
}

#[test]
fn the_commented_file_equals_the_defaults() {
    let text = include_str!("../../../config/smbwatch.toml");
    assert_eq!(parse(text), Ok(Config::default()));
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_ne!(uncommented, format!("{text}\n"), "the file shows its defaults behind `#: `");
    let shown = parse(&uncommented).expect("every shown default is valid");
    // The shown ranges have no names.
    let nameless = |config: Config| Config {
        destinations: config
            .destinations
            .into_iter()
            .map(|range| Range { name: String::new(), ..range })
            .collect(),
        ..config
    };
    assert_eq!(nameless(shown), nameless(Config::default()));
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse(""), Ok(Config::default()));
}

#[test]
fn an_exception_covers_what_is_globally_reachable_inside_it() {
    let text = "profile = \"strict\"\n[[exceptions]]\ndestination = \"192.0.0.0/24\"\nreason = \"a test\"";
    let config = parse(text).expect("a configuration");
    let address = "192.0.0.9".parse().expect("an address");
    let range = ranges::longest(&config.destinations, address).expect("a range");
    assert_eq!((range.kind, range.name.as_str()), (Kind::Exception, "a test"));
}

#[test]
fn sources_that_are_named_are_all_there_are() {
    let own = |text: &str| parse(text).map(|config| config.own_addresses);
    assert_eq!(own("profile = \"strict\""), Ok(true));
    assert_eq!(own("profile = \"strict\"\nsources = [\"10.0.0.0/8\"]"), Ok(false));
}

fn exceptions(count: u32) -> String {
    let mut text = "profile = \"strict\"\n".to_owned();
    for number in 0..count {
        let address = std::net::Ipv4Addr::from(0x1400_0000 + number);
        let _ = write!(text, "[[exceptions]]\ndestination = \"{address}\"\nreason = \"share {number}\"\n");
    }
    text
}

#[test]
fn a_hundred_thousand_exceptions_are_read() {
    let config = parse(&exceptions(100_000)).expect("a configuration");
    assert_eq!(config.destinations.len(), ranges::strict().len() + 100_000);
}

#[test]
fn what_the_kernel_has_no_place_for_is_refused() {
    let error = parse(&exceptions(1 << 17)).expect_err("too many");
    let start = "test.toml: `reserved` and `exceptions`: 1310";
    assert!(error.starts_with(start) && error.contains("131072 fit"), "{error}");
    let sources = vec!["\"fd00::/64\""; (1 << 17) + 1].join(",");
    let error = parse(&format!("sources = [{sources}]")).expect_err("too many");
    assert!(error.starts_with("test.toml: `sources`: 131073 IPv6 prefixes"), "{error}");
}

#[test]
fn every_example_of_a_sink_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sinks");
    let pages = std::fs::read_dir(folder).expect("the pages");
    let pages = pages.map(|page| std::fs::read_to_string(page.expect("a page").path()).expect("text"));
    for page in pages {
        let examples: Vec<&str> =
            page.split("```toml\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
        assert!(!examples.is_empty(), "{page}");
        for example in examples {
            assert_eq!(parse(example).map(|config| config.sinks.len()), Ok(1), "{example}");
        }
    }
    let shown = include_str!("../../../config/smbwatch.toml");
    let (_, examples) = shown.split_once("docs/sinks.md tells every key.\n").expect("the examples");
    let examples: Vec<&str> = examples.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    assert_eq!(parse(&examples.join("\n")).map(|config| config.sinks.len()), Ok(7));
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, message) in [
        ("porst = [445]", "test.toml:1:1: unknown field `porst`"),
        ("any_port = true\nports = [445, 70000]", "test.toml:2:15: invalid value: integer `70000`"),
        (
            "sources = [\"10.0.0.0/8\",\n  \"10.1.2.3/8\"]",
            "test.toml:2:3: `10.1.2.3/8` has bits set behind its prefix; write `10.0.0.0/8`",
        ),
        ("sources = [\"ten\"]", "test.toml:1:12: `ten` is no address range; write one like"),
        (
            "profile = \"rule-106\"",
            "test.toml:1:11: unknown variant `rule-106`, expected `rule-105` or `strict`",
        ),
        ("ports = []", "test.toml: `ports` holds 0 ports; give between 1 and 8"),
        ("ports = [0]", "test.toml: `ports` holds 0, which"),
        ("[limits]\nring_bytes = 65537", "test.toml: `limits.ring_bytes` is 65537; give a power of two"),
        ("[[sinks]]\ntype = \"fax\"", "test.toml:1:1: unknown variant `fax`, expected"),
        (
            "[[sinks]]\ntype = \"journald\"\nsocekt = \"/run/x\"",
            "test.toml:1:1: unknown field `socekt`, expected `socket`",
        ),
        (
            "[[sinks]]\ntype = \"stdout\"\n[[sinks]]\ntype = \"stdout\"",
            "test.toml: `sinks`: two are called `stdout`; give one another `name`",
        ),
        (
            "[[sinks]]\ntype = \"stdout\"\nspool_mib = 1",
            "test.toml: `sinks`: stdout has no spool, since it is on this host; remove `spool_mib`",
        ),
        (
            "[[sinks]]\ntype = \"journald\"\nspool_mib = 7",
            "test.toml: `sinks`: journald: `spool_mib` is 7; give 0, or between 8 and 4096",
        ),
        (
            "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"kafka\"]\ntopic = \"a\"",
            "test.toml:1:1: `kafka` is no address; write `HOST:PORT`",
        ),
        (
            "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"kafka:9092\"]\ntopic = \"a b\"",
            "test.toml: `sinks`: kafka: name `brokers`, and a `topic` of letters, digits",
        ),
        (
            "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"kafka:9092\"]\ntopic = \"a\"\nca = \"/ca.pem\"",
            "test.toml: `sinks`: kafka: certificates are for TLS; add `tls = true`",
        ),
        (
            "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"kafka:9092\"]\ntopic = \"a\"\ntls = true\nkey = \"/key.pem\"",
            "test.toml: `sinks`: kafka: `certificate` and `key` belong together; give both, or neither",
        ),
        (
            "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"kafka:9092\"]\ntopic = \"a\"\n\
             sasl = { mechanism = \"PLAIN\", user = \"u\", password = { env = \"P\" } }",
            "test.toml: `sinks`: kafka: PLAIN would send the password readable; add `tls = true`, or use SCRAM-",
        ),
        (
            "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"kafka:9092\"]\ntopic = \"a\"\n\
             sasl = { mechanism = \"SCRAM-SHA-256\", user = \"\", password = { env = \"P\" } }",
            "test.toml: `sinks`: kafka: `sasl` without a `user`; name one",
        ),
        (
            "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"kafka:9092\"]\ntopic = \"a\"\n\
             sasl = { mechanism = \"GSSAPI\", user = \"u\", password = { env = \"P\" } }",
            "test.toml:1:1: unknown variant `GSSAPI`, expected one of `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`",
        ),
        (
            "[[sinks]]\ntype = \"kafka\"\nbrokers = [\"kafka:9092\"]\ntopic = \"a\"\n\
             sasl = { mechanism = \"PLAIN\", user = \"u\", password = \"secret\" }",
            "test.toml:1:1: a key is not written here; name where it is: `{ file = \"PATH\" }` or `{ env = \"NAME\" }`",
        ),
        (
            "[[sinks]]\ntype = \"journald\"\nname = \"../x\"",
            "test.toml: `sinks`: the name `../x`; use letters, digits, `-` and `_`",
        ),
        (
            "[[sinks]]\ntype = \"elasticsearch\"\nurl = \"https://e/\"\ndata_stream = \"a/b\"",
            "test.toml: `sinks`: elasticsearch: the data stream `a/b`; use lower-case letters, digits,",
        ),
        (
            "[[sinks]]\ntype = \"elasticsearch\"\nurl = \"https://e/\"\ndata_stream = \"\"",
            "test.toml: `sinks`: elasticsearch: the data stream ``; use lower-case letters, digits,",
        ),
        (
            "[[sinks]]\ntype = \"elasticsearch\"\nurl = \"https://e/\"\ndata_stream = \"_bulk\"",
            "test.toml: `sinks`: elasticsearch: the data stream `_bulk`; use lower-case letters, digits,",
        ),
        (
            "[[sinks]]\ntype = \"elasticsearch\"\nurl = \"https://e/\"\nuser = \"u\"",
            "test.toml: `sinks`: elasticsearch: `user` and `password` belong together; give both, or neither",
        ),
        (
            "[[sinks]]\ntype = \"elasticsearch\"\nurl = \"https://e/\"\nuser = \"u\"\n\
             password = { env = \"P\" }\napi_key = { env = \"K\" }",
            "test.toml: `sinks`: elasticsearch: an `api_key` takes the place of `user` and `password`; remove",
        ),
        (
            "[[sinks]]\ntype = \"elasticsearch\"\nurl = \"https://e/\"\nuser = \"a:b\"\npassword = { env = \"P\" }",
            "test.toml: `sinks`: elasticsearch: a `user` that is empty or has a colon; name another",
        ),
        (
            "[[sinks]]\ntype = \"elasticsearch\"\nurl = \"http://e/\"\nca = \"/ca.pem\"",
            "test.toml: `sinks`: elasticsearch: certificates are for TLS; write `https://`",
        ),
        (
            "[[sinks]]\ntype = \"webhook\"\nurl = \"https://h/\"\ncertificate = \"/own.pem\"",
            "test.toml: `sinks`: webhook: `certificate` and `key` belong together; give both, or neither",
        ),
        (
            "[[sinks]]\ntype = \"otlp\"\nurl = \"http://h/\"\ncertificate = \"/own.pem\"\nkey = \"/own.key\"",
            "test.toml: `sinks`: otlp: certificates are for TLS; write `https://`",
        ),
        (
            "[[sinks]]\ntype = \"syslog\"\naddress = \"tcp://h:601\"\ncertificate = \"/own.pem\"\nkey = \"/own.key\"",
            "test.toml: `sinks`: syslog: certificates are for TLS; write `tls://`",
        ),
        (
            "[[sinks]]\ntype = \"syslog\"\naddress = \"tls://h:6514\"\nkey = \"/own.key\"",
            "test.toml: `sinks`: syslog: `certificate` and `key` belong together; give both, or neither",
        ),
        (
            "[[sinks]]\ntype = \"syslog\"\naddress = \"/dev/log\"",
            "test.toml:1:1: `/dev/log` is no syslog address; write `tls://HOST:6514` (or tcp, udp), or `unix:///run/",
        ),
        (
            "[[sinks]]\ntype = \"stdout\"\nseverity = 100",
            "test.toml: `sinks`: stdout: `severity` is 100, which no alert has; give at most 99",
        ),
        (
            "[[sinks]]\ntype = \"file\"\nname = \"a\"\npath = \"/x\"\n\
             [[sinks]]\ntype = \"file\"\nname = \"b\"\npath = \"/x\"",
            "test.toml: `sinks`: a and b both write /x; give one another `path`",
        ),
        (
            "[[sinks]]\ntype = \"webhook\"\nurl = \"https://user:password@host/\"",
            "test.toml:1:1: a `url` that is none; write `https://HOST/PATH`, without user and password",
        ),
        (
            "[[sinks]]\ntype = \"webhook\"\nurl = \"http://h/\"\ntemplate = \"{{ alert }\"",
            "test.toml:1:1: the `template` fails in line 1: syntax error",
        ),
        (
            "[[sinks]]\ntype = \"webhook\"\nurl = \"http://h/\"\nbody = \"lines\"\ntemplate = \"1\"",
            "test.toml: `sinks`: webhook: a `template` makes one request of each alert; remove `body`",
        ),
        (
            "[[sinks]]\ntype = \"webhook\"\nurl = \"http://h/\"\nheaders.Host = { env = \"A\" }",
            "test.toml: `sinks`: webhook: the header `Host` is set already; remove it from `headers`",
        ),
        (
            "[[sinks]]\ntype = \"webhook\"\nurl = \"http://h/\"\nheaders.\"a b\" = { env = \"A\" }",
            "test.toml: `sinks`: webhook: `a b` cannot be the name of a header",
        ),
        (
            "[[sinks]]\ntype = \"otlp\"\nurl = \"http://h/\"\nbearer = { env = \"A\" }\n\
             headers.Authorization = { env = \"A\" }",
            "test.toml: `sinks`: otlp: the header `Authorization` is set already; remove it from `headers`",
        ),
        (
            "[[sinks]]\ntype = \"otlp\"\nurl = \"http://h/\"\nheaders.grpc-timeout = { env = \"A\" }",
            "test.toml: `sinks`: otlp: the header `grpc-timeout` is set already; remove it from `headers`",
        ),
        (
            "[[sinks]]\ntype = \"otlp\"\nurl = \"http://h/\"\nheaders.X-Key = \"secret\"",
            "test.toml:1:1: a key is not written here; name where it is: `{ file = \"PATH\" }` or `{ env = \"NAME\" }`",
        ),
        ("[[exceptions]]\ndestination = \"1.2.3.4\"", "test.toml:1:1: missing field `reason`"),
        ("sinks = []", "test.toml: `sinks` is empty, so nothing would be told; leave it out for standard"),
        (
            "[[exceptions]]\ndestination = \"1.2.3.4\"\nreason = \" \"",
            "test.toml:3:10: an exception without a reason; say why it may be reached",
        ),
        (
            "[[exceptions]]\nreason = \"all\"\ndestination = \"::/0\"",
            "test.toml:3:15: `::/0` would except every address, so nothing could match; name a part of it",
        ),
        ("a = [", "test.toml:1:6:"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.starts_with(message), "{text:?} gave {error:?}, not {message:?}");
    }
}
