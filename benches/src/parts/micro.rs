//! Parts of a request, which Criterion has measured just before: `scripts/bench` runs it first.

use std::fs;

use serde_json::Value;

use super::Bench;
use crate::{
    Outcome,
    report::Bound::{self, AtMost, None},
    target,
};

/// Criterion's names, and what the figures are held to, in microseconds.
const FIGURES: &[(&str, Bound)] = &[
    ("bearer seen before", AtMost(3.0)),
    ("bearer first time", AtMost(25.0)),
    ("RS256 signature checked", None),
    ("form of createCode", None),
    ("redirect URL", None),
    ("join code generated", None),
];

pub fn run(bench: &mut Bench) -> Outcome<()> {
    for (name, bound) in FIGURES {
        let path = target().join("criterion").join(name).join("new/estimates.json");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let estimates: Value = serde_json::from_str(&text)?;
        let nanoseconds = estimates["median"]["point_estimate"].as_f64().ok_or("no median")?;
        bench.report.hold("micro", name, nanoseconds / 1000.0, "us", *bound);
    }
    Ok(())
}
