//! The README shows what is run.

use std::{fs, path::Path};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_programs_of_the_readme_are_the_ones_that_are_run() {
    let readme = read("README.md");
    for program in [
        "tests/clients/typescript/story.ts",
        "tests/clients/python/story.py",
        "tests/clients/rust/src/main.rs",
    ] {
        assert!(readme.contains(&read(program)), "{program} is not in the README as it stands");
    }
}

#[test]
fn every_flag_of_the_server_is_in_the_readme() {
    let readme = read("README.md");
    let config = read("src/config.rs");
    let variables = config.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    for variable in variables {
        assert!(readme.contains(variable), "{variable} is not in the README");
    }
}
