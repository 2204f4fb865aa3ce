//! The table of results, printed row by row, and the same rows as JSON.

use std::{env, fs, process::Command};

use serde_json::{Value, json};

use crate::Outcome;

/// The bound of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// The figure is information only.
    None,
    /// The smallest allowed value.
    AtLeast(f64),
    /// The largest allowed value.
    AtMost(f64),
}

/// The results of one run.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    machine: Vec<(&'static str, String)>,
    rows: Vec<Value>,
    missed: usize,
}

impl Report {
    /// Prints a description of the machine and the head of the table.
    pub fn begin(name: &'static str) -> Self {
        let machine = machine();
        for (property, value) in &machine {
            println!("{property:<10} {value}");
        }
        println!("\n{:<62} {:>10} {:<4} {:>9} {:<7} detail", "figure", "measured", "", "bound", "");
        Self { name, machine, rows: Vec::new(), missed: 0 }
    }

    /// Adds a figure without a bound.
    pub fn inform(&mut self, figure: &str, value: f64, unit: &str) {
        self.check(figure, value, unit, Bound::None, "");
    }

    /// Adds a figure with its bound. `detail` holds the values that the figure was computed from.
    pub fn check(&mut self, figure: &str, value: f64, unit: &str, bound: Bound, detail: &str) {
        let (bound, met) = match bound {
            Bound::None => (String::new(), None),
            Bound::AtLeast(least) => (format!(">= {least}"), Some(value >= least)),
            Bound::AtMost(most) => (format!("<= {most}"), Some(value <= most)),
        };
        let verdict = met.map_or("", |met| if met { "met" } else { "MISSED" });
        let digits = if value.abs() >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
        let line = format!("{figure:<62} {value:>10.digits$} {unit:<4} {bound:>9} {verdict:<7} {detail}");
        println!("{}", line.trim_end());
        self.missed += usize::from(met == Some(false));
        let rounded = (value * 1000.0).round() / 1000.0;
        self.rows.push(json!({
            "figure": figure, "measured": rounded, "unit": unit, "bound": bound, "met": met, "detail": detail
        }));
    }

    /// Adds a part that ended with an error. It counts as a missed bound.
    pub fn error(&mut self, part: &str, message: &str) {
        println!("{part}: ERROR: {message}");
        self.missed += 1;
        self.rows.push(json!({ "figure": part, "met": false, "detail": message }));
    }

    /// Writes the JSON file. Returns whether all bounds are met.
    pub fn end(self) -> Outcome<bool> {
        let path = crate::output_directory()?.join(format!("{}.json", self.name));
        let machine: serde_json::Map<_, _> =
            self.machine.into_iter().map(|(property, value)| (property.to_owned(), value.into())).collect();
        fs::write(&path, format!("{:#}\n", json!({ "machine": machine, "rows": self.rows })))?;
        println!("\n{} bounds missed. JSON: {}", self.missed, path.display());
        Ok(self.missed == 0)
    }
}

/// The properties of the machine and of the programs that the figures depend on.
fn machine() -> Vec<(&'static str, String)> {
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let binary = env::var("HOMEROOM_BINARY").unwrap_or_default();
    vec![
        ("processor", format!("{}, {} cores", model.map_or("", |(_, model)| model), crate::cores())),
        ("kernel", output("uname", &["-sr"])),
        ("disk", output("sh", &["-c", "findmnt -no FSTYPE -T \"${CARGO_TARGET_DIR:-target}\""])),
        ("load", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()),
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("homeroom", output(&binary, &["--version"])),
        ("sqlite", rusqlite::version().to_owned()),
    ]
}

/// The median. NaN if there are no values.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// The smallest value that at least this share of all values does not exceed. NaN if there are no values.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let index = (values.len() as f64 * share).ceil() as usize;
    values.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
