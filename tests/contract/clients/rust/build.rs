//! Copies the contract without the operations that progenitor cannot generate.

use std::{env, fs, path::Path};

/// Their request bodies are `multipart/form-data`. Send them with `reqwest::multipart`.
const UNSUPPORTED: [&str; 1] = ["/classes/{classId}/students/import"];

fn main() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../openapi.yaml");
    println!("cargo::rerun-if-changed={}", document.display());
    let text = fs::read_to_string(document).expect("openapi.yaml is readable");
    let mut kept = String::new();
    let mut is_supported = true;
    for line in text.lines() {
        // A key below `paths`, which YAML may quote, or one on the top level.
        let key = line.strip_prefix("  ").map(|rest| rest.trim_end_matches(':').trim_matches('"'));
        match key {
            Some(path) if path.starts_with('/') => is_supported = !UNSUPPORTED.contains(&path),
            None if !line.is_empty() => is_supported = true,
            _ => {}
        }
        if is_supported {
            kept += line;
            kept += "\n";
        }
    }
    let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("openapi.yaml"), kept).expect("OUT_DIR is writable");
}
