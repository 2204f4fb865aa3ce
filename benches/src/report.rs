//! What was measured, each figure beside its bound: as a table while it goes on, and as JSON at the end.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};

use crate::Outcome;

/// What a figure is held to.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// It is told, and held to nothing.
    None,
    /// It must not be less.
    AtLeast(f64),
    /// It must not be more.
    AtMost(f64),
}

/// The figures of one run.
#[derive(Debug)]
pub struct Report {
    name: &'static str,
    machine: Vec<(&'static str, String)>,
    rows: Vec<Value>,
    failures: usize,
}

impl Report {
    /// Begins with the machine's description.
    pub fn begin(name: &'static str) -> Self {
        let machine = machine();
        for (what, value) in &machine {
            println!("{what:<10} {value}");
        }
        println!("\n{:<10} {:<58} {:>12} {:<6} {:>10}", "part", "what", "measured", "", "bound");
        Self { name, machine, rows: Vec::new(), failures: 0 }
    }

    /// A figure that explains others.
    pub fn tell(&mut self, part: &str, what: &str, value: f64, unit: &str) {
        self.hold(part, what, value, unit, Bound::None);
    }

    /// A figure with its bound.
    pub fn hold(&mut self, part: &str, what: &str, value: f64, unit: &str, bound: Bound) {
        // A sum of nothing is -0.0.
        let value = value + 0.0;
        let (shown, ok) = match bound {
            Bound::None => (String::new(), None),
            Bound::AtLeast(least) => (format!(">= {least}"), Some(value >= least)),
            Bound::AtMost(most) => (format!("<= {most}"), Some(value <= most)),
        };
        let verdict = ok.map_or("", |ok| if ok { "ok" } else { "FAILED" });
        let digits = if value.abs() >= 1000.0 { 0 } else { 3 };
        let line = format!("{part:<10} {what:<58} {value:>12.digits$} {unit:<6} {shown:>10} {verdict}");
        println!("{}", line.trim_end());
        self.failures += usize::from(ok == Some(false));
        // The table's digits: what a figure has beyond them is noise.
        let rounded = (value * 1000.0).round() / 1000.0;
        self.rows.push(
            json!({ "part": part, "what": what, "measured": rounded, "unit": unit, "bound": shown, "ok": ok }),
        );
    }

    /// A part that could not be measured to its end: that is a failure too.
    pub fn broken(&mut self, part: &str, why: &str) {
        println!("{part:<10} {why}: FAILED");
        self.failures += 1;
        self.rows.push(json!({ "part": part, "what": why, "ok": false }));
    }

    /// Writes the JSON; says whether every bound was kept.
    pub fn end(self) -> Outcome<bool> {
        let path = self.path()?;
        let machine: serde_json::Map<_, _> =
            self.machine.into_iter().map(|(what, value)| (what.to_owned(), value.into())).collect();
        let all = json!({ "machine": machine, "rows": self.rows });
        fs::write(&path, serde_json::to_string_pretty(&all)? + "\n")?;
        println!(
            "\n{} of {} figures are out of bounds; all are in {}",
            self.failures,
            self.rows.len(),
            path.display()
        );
        Ok(self.failures == 0)
    }

    fn path(&self) -> Outcome<PathBuf> {
        Ok(crate::output_directory()?.join(format!("{}.json", self.name)))
    }
}

/// What the figures depend on.
fn machine() -> Vec<(&'static str, String)> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let lines = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let cpu = lines("/proc/cpuinfo");
    let vector = ["avx512f", "avx2"].into_iter().find(|unit| cpu.contains(unit)).unwrap_or("none");
    vec![
        ("processor", format!("{}, vector unit {vector}", value(&cpu, "model name"))),
        ("cores", crate::cores().to_string()),
        ("memory", value(&lines("/proc/meminfo"), "MemTotal")),
        ("kernel", said("uname", &["-sr"])),
        ("disk", said("sh", &["-c", "findmnt -no FSTYPE -T \"${CARGO_TARGET_DIR:-target}\""])),
        ("load", lines("/proc/loadavg").split_whitespace().next().unwrap_or_default().to_owned()),
        ("date", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])),
        ("homeroom", said(&std::env::var("HOMEROOM_BINARY").unwrap_or_default(), &["--version"])),
        ("rustc", said("rustc", &["--version"])),
        ("sqlite", crate::sqlite::version().to_owned()),
        ("postgres", said("postgres", &["--version"])),
    ]
}

/// The value in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// The value that this part of them does not exceed. They are in order of size.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let index = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}
