//! What watching costs, and how fast it is: `cargo xtask bench`.
#![expect(clippy::print_stdout, reason = "the table is the result")]
#![expect(unreachable_pub, reason = "modules of one program")]

#[path = "../../tests/support/mod.rs"]
mod support;

mod absence;
mod figure;
mod flood;
mod footprint;
mod interfaces;
mod latency;
mod program;
mod reading;
mod sinks;
mod throughput;

use support::lab::Lab;

/// Measures one part; none where it cannot be measured here.
type Part = fn() -> Option<Vec<figure::Figure>>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let only: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
    let parts: [(&str, Part); 9] = [
        ("program", program::measure),
        ("reading", reading::measure),
        ("throughput", throughput::measure),
        ("latency", latency::measure),
        ("flood", flood::measure),
        ("footprint", footprint::measure),
        ("interfaces", interfaces::measure),
        ("sinks", sinks::measure),
        ("absence", absence::measure),
    ];
    if let Some(unknown) = only.iter().find(|only| parts.iter().all(|(name, _)| name != *only)) {
        let names = parts.map(|(name, _)| name).join(", ");
        eprintln!("nothing is measured by the name of `{unknown}`, but: {names}");
        std::process::exit(2);
    }
    let mut figures = Vec::new();
    for (name, measure) in parts {
        if only.is_empty() || only.contains(&name) {
            eprintln!("measuring {name} …");
            figures.extend(measure().unwrap_or_default());
        }
    }
    if json {
        println!("{:#}", figure::json(&figures));
    } else {
        print!("{}", figure::table(&figures));
    }
}

fn lab(part: &str) -> Option<Lab> {
    Lab::make(&format!("bench {part}"))
}
