//! Who may import whom: the house's plan, held against the text of `src/` and `migration/`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::support::source::{Tokens, code};

const ROOMS: &[&str] = &["identity", "classroom"];
const GROUND: &[&str] = &["rate_limit", "entity", "db", "domain", "clock", "random", "metrics"];
const NOTHING: &[&str] = &[];

/// Each part of the house, and the others that it may import. `poem` stands for HTTP: poem, hyper and their types.
const PLAN: &[(&str, &[&[&str]])] = &[
    ("main", &[&["cli"]]),
    ("lib", &[NOTHING]),
    // Doors. None knows another.
    ("cli", &[&["server", "config", "listener", "migration"], ROOMS, GROUND]),
    ("api", &[ROOMS, GROUND, &["poem"]]),
    ("ops", &[ROOMS, GROUND, &["poem"]]),
    // What puts the house together, and what it stands behind.
    ("server", &[&["api", "ops", "poem"], ROOMS, GROUND]),
    ("config", &[ROOMS, &["db", "rate_limit"]]),
    ("listener", &[&["domain", "metrics", "poem"]]),
    // Rooms. Neither knows the other, and none knows HTTP.
    ("identity", &[GROUND]),
    ("classroom", &[GROUND]),
    // The ground. It knows no room.
    ("rate_limit", &[&["entity", "db", "domain", "metrics"]]),
    ("entity", &[&["domain"]]),
    ("db", &[&["migration", "metrics"]]),
    ("domain", &[&["random"]]),
    ("clock", &[NOTHING]),
    ("random", &[NOTHING]),
    ("metrics", &[NOTHING]),
    ("migration", &[NOTHING]),
];

/// A module that may do what its part may not: `homeroom openapi` prints what the other door serves.
const EXCEPTIONS: &[(&str, &str)] = &[("cli::openapi", "api::openapi")];

/// The most lines of a file, its tests not counted.
const LINES: usize = 400;

/// A file of ours.
struct Source {
    path: PathBuf,
    /// `["api", "classes", "error"]` for `src/api/classes/error.rs`.
    module: Vec<String>,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for (directory, prefix) in [("src", None), ("migration/src", Some("migration"))] {
        collect(
            &root.join(directory),
            &prefix.map(str::to_owned).into_iter().collect::<Vec<_>>(),
            &mut sources,
        );
    }
    assert!(sources.len() > 60, "most of the sources were not found");
    sources
}

fn collect(directory: &Path, module: &[String], sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut inner = module.to_vec();
        if path.is_dir() {
            inner.push(name);
            collect(&path, &inner, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            // `mod.rs` is its directory's module, and so is the `lib.rs` of a crate that is a part by itself.
            if name != "mod" && (name != "lib" || module.is_empty()) {
                inner.push(name);
            }
            let text = fs::read_to_string(&path).unwrap();
            sources.push(Source { path, module: inner, text });
        }
    }
}

/// What breaks the plan in a module of this text, as `from -> to`.
fn violations(module: &[&str], text: &str) -> Vec<String> {
    let part = module[0];
    let Some((_, allowed)) = PLAN.iter().find(|(name, _)| *name == part) else {
        return vec![format!("{part} has no place in the plan")];
    };
    let own = module.join("::");
    let forbidden = Tokens::of(text).imports(module).into_iter().filter(|import| {
        let to = import.split("::").next().unwrap_or_default();
        let excepted = EXCEPTIONS.iter().any(|(from, to)| *from == own && import.starts_with(to));
        to != part && !excepted && !allowed.iter().any(|group| group.contains(&to))
    });
    forbidden.collect::<BTreeSet<_>>().into_iter().map(|to| format!("{own} -> {to}")).collect()
}

#[test]
fn nobody_imports_whom_the_plan_does_not_let_them() {
    let mut found = Vec::new();
    for Source { module, text, .. } in sources() {
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        found.extend(violations(&module, &text));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_part_of_the_house_is_in_the_plan() {
    for Source { module, path, .. } in sources() {
        assert!(PLAN.iter().any(|(part, _)| *part == module[0]), "{}", path.display());
    }
}

#[test]
fn rooms_and_the_ground_know_no_status_code() {
    for Source { module, path, text } in sources() {
        if ROOMS.contains(&module[0].as_str()) || GROUND.contains(&module[0].as_str()) {
            assert!(!Tokens::of(&text).names("StatusCode"), "{}", path.display());
        }
    }
}

#[test]
fn every_file_says_first_what_it_is() {
    for Source { path, text, .. } in sources() {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! ") && first.len() > 6, "{}", path.display());
    }
}

#[test]
fn no_file_outgrows_its_reader() {
    for Source { module, path, text } in sources() {
        if module.last().is_some_and(|name| name == "tests") {
            continue;
        }
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= LINES, "{}: {lines} lines", path.display());
    }
}

#[test]
fn a_planted_violation_is_found() {
    let planted: &[(&[&str], &str, &[&str])] = &[
        (&["main"], "fn main() { homeroom::server::run() }", &["main -> server::run"]),
        (&["classroom", "a"], "use crate::identity::Identity;", &["classroom::a -> identity::Identity"]),
        (
            &["identity", "a"],
            "use crate::{db, classroom::{a::{b, C}, d}};",
            &["identity::a -> classroom::a", "identity::a -> classroom::d"],
        ),
        (&["identity", "a"], "fn f() -> poem::Result<()> { todo!() }", &["identity::a -> poem::Result"]),
        (&["identity", "a"], "use hyper::StatusCode;", &["identity::a -> poem::StatusCode"]),
        (&["entity", "a"], "fn f() { crate::db::kind(e) }", &["entity::a -> db::kind"]),
        (&["entity", "a"], "use super::super::db;", &["entity::a -> db"]),
        (&["entity", "a"], "mod tests { use super::super::super::clock; }", &["entity::a -> clock"]),
        (&["db"], "use super::entity;", &["db -> entity"]),
        (&["domain", "a"], "use crate::{self as house, clock::Clock as C};", &["domain::a -> clock::Clock"]),
        (&["domain", "a"], "m!(crate::entity::x);", &["domain::a -> entity::x"]),
        (&["domain", "a"], "pub(in crate::api) fn f() {}", &["domain::a -> api"]),
        (
            &["api", "a"],
            "use crate::{cli::Failure, config};",
            &["api::a -> cli::Failure", "api::a -> config"],
        ),
        (&["api", "a"], "use migration::Migrator;", &["api::a -> migration::Migrator"]),
        (&["cli", "user"], "use crate::api::openapi;", &["cli::user -> api::openapi"]),
        (&["cli", "openapi"], "use crate::api::json;", &["cli::openapi -> api::json"]),
        (&["clock"], "use crate::*;", &["clock -> *"]),
        (&["attic", "a"], "", &["attic has no place in the plan"]),
    ];
    for (module, text, expected) in planted {
        assert_eq!(violations(module, text), *expected, "{text}");
    }
}

#[test]
fn what_only_looks_like_an_import_is_none() {
    let harmless: &[(&[&str], &str)] = &[
        (&["domain", "a"], "/// See [`X`](crate::db::X).\n// crate::db\n/* /* crate::a */ crate::db */"),
        (&["domain", "a"], r##"const A: &str = "crate::db"; const B: &str = r#"" crate::db"#;"##),
        (&["domain", "a"], r#"fn f<'a>(x: &'a str) -> char { if x == "\"" { '"' } else { '\'' } }"#),
        (&["domain", "a"], "use super::origin; mod tests { use super::super::id; use crate::domain::x; }"),
        (&["domain", "a"], "use other::poem::x; use x::{migration::y, crate_store::z};"),
        (&["cli", "openapi"], "use crate::api::openapi;"),
        (&["cli", "serve"], "use crate::{server::{Parts, Server}, config::Config, listener::Listener};"),
    ];
    for (module, text) in harmless {
        assert_eq!(violations(module, text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(code("a /* b */ \"c\" 'd' // e"), "a   \"\" '' ");
}
