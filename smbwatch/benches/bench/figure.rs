//! A measured figure beside what it should reach.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How a figure compares to its bound.
#[derive(Clone, Copy)]
pub enum Reach {
    AtMost(f64),
    AtLeast(f64),
    /// Told for information.
    None,
}

/// One measured figure.
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub reach: Reach,
}

impl Figure {
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, reach: Reach) -> Self {
        Self { name: name.into(), value, unit, reach }
    }

    fn reached(&self) -> Option<bool> {
        match self.reach {
            Reach::AtMost(bound) => Some(self.value <= bound),
            Reach::AtLeast(bound) => Some(self.value >= bound),
            Reach::None => None,
        }
    }

    fn bound(&self) -> String {
        match self.reach {
            Reach::AtMost(bound) => format!("<= {}", round(bound)),
            Reach::AtLeast(bound) => format!(">= {}", round(bound)),
            Reach::None => String::new(),
        }
    }
}

/// The figures as a Markdown table.
pub fn table(figures: &[Figure]) -> String {
    let mut table = String::from("| figure | measured | reach |\n| --- | --- | --- |\n");
    for figure in figures {
        let mark = match figure.reached() {
            Some(false) => " (missed)",
            Some(true) | None => "",
        };
        let value = round(figure.value);
        let _ = writeln!(table, "| {} | {value} {} | {}{mark} |", figure.name, figure.unit, figure.bound());
    }
    table
}

/// As many digits as mean something.
fn round(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The figures as JSON.
pub fn json(figures: &[Figure]) -> Value {
    figures
        .iter()
        .map(|figure| {
            json!({
                "figure": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "reach": figure.bound(),
                "reached": figure.reached(),
            })
        })
        .collect()
}

/// The middle of some measurements.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value that `share` of some measurements do not exceed.
pub fn percentile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index into a short list")]
    let index = ((values.len() as f64 * share).ceil() as usize).saturating_sub(1);
    values.get(index).copied().unwrap_or(f64::NAN)
}
