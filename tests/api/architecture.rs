//! The allowed imports between modules, checked against the text of `src/` and `migration/`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::support::source::{Tokens, code};

const SERVICES: &[&str] = &["identity", "classroom"];
const INFRASTRUCTURE: &[&str] =
    &["rate_limit", "mail", "jobs", "entity", "db", "domain", "clock", "csv_table", "random", "metrics"];
const NOTHING: &[&str] = &[];

/// Each top-level module, and the others that it may import. `poem` means HTTP: poem, hyper and their types.
const ALLOWED: &[(&str, &[&[&str]])] = &[
    ("main", &[&["cli"]]),
    ("lib", &[NOTHING]),
    // Adapters. They do not import each other.
    ("cli", &[&["server", "config", "listener", "migration", "school"], SERVICES, INFRASTRUCTURE]),
    ("api", &[&["http", "poem", "school"], SERVICES, INFRASTRUCTURE]),
    ("http", &[INFRASTRUCTURE, &["poem"]]),
    // The composition root, its settings, and the listener in front of it.
    ("server", &[&["api", "http", "poem", "school"], SERVICES, INFRASTRUCTURE]),
    ("config", &[SERVICES, &["school", "db", "mail", "rate_limit", "domain"]]),
    ("listener", &[&["domain", "metrics", "poem"]]),
    // Services. They import neither each other nor HTTP.
    ("identity", &[INFRASTRUCTURE]),
    ("classroom", &[INFRASTRUCTURE]),
    // The service above the two.
    ("school", &[SERVICES, INFRASTRUCTURE]),
    // Infrastructure. It imports no service.
    ("rate_limit", &[&["entity", "db", "domain", "metrics"]]),
    ("jobs", &[&["entity", "db", "clock", "metrics"]]),
    ("mail", &[&["jobs", "entity", "db", "domain", "clock", "random", "metrics"]]),
    ("entity", &[&["domain", "random"]]),
    ("db", &[&["migration", "metrics"]]),
    ("domain", &[&["random"]]),
    ("csv_table", &[&["domain"]]),
    ("clock", &[NOTHING]),
    ("random", &[NOTHING]),
    ("metrics", &[NOTHING]),
    ("migration", &[NOTHING]),
];

/// The maximum number of lines in a file without its tests.
const LINES: usize = 400;

/// A source file.
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
    assert!(sources.len() > 60, "the sources were not found");
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
            // `mod.rs` is the module of its directory, and so is the `lib.rs` of the crate `migration`.
            if name != "mod" && (name != "lib" || module.is_empty()) {
                inner.push(name);
            }
            let text = fs::read_to_string(&path).unwrap();
            sources.push(Source { path, module: inner, text });
        }
    }
}

/// The forbidden imports of a module with this text, as `from -> to`.
fn violations(module: &[&str], text: &str) -> Vec<String> {
    let part = module[0];
    let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == part) else {
        return vec![format!("{part} is not in the table")];
    };
    let own = module.join("::");
    let forbidden = Tokens::of(text).imports(module).into_iter().filter(|import| {
        let to = import.split("::").next().unwrap_or_default();
        to != part && !allowed.iter().any(|group| group.contains(&to))
    });
    forbidden.collect::<BTreeSet<_>>().into_iter().map(|to| format!("{own} -> {to}")).collect()
}

#[test]
fn module_imports_only_what_the_table_allows() {
    let mut found = Vec::new();
    for Source { module, text, .. } in sources() {
        let module: Vec<&str> = module.iter().map(String::as_str).collect();
        found.extend(violations(&module, &text));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn module_of_the_tree_is_in_the_table() {
    for Source { module, path, .. } in sources() {
        assert!(ALLOWED.iter().any(|(part, _)| *part == module[0]), "{}", path.display());
    }
}

#[test]
fn service_names_no_status_code() {
    for Source { module, path, text } in sources() {
        if SERVICES.contains(&module[0].as_str()) || INFRASTRUCTURE.contains(&module[0].as_str()) {
            assert!(!Tokens::of(&text).names("StatusCode"), "{}", path.display());
        }
    }
}

#[test]
fn file_begins_with_its_purpose() {
    for Source { path, text, .. } in sources() {
        let first = text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! ") && first.len() > 6, "{}", path.display());
    }
}

#[test]
fn file_stays_below_the_line_limit() {
    for Source { module, path, text } in sources() {
        if module.last().is_some_and(|name| name == "tests") {
            continue;
        }
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= LINES, "{}: {lines} lines", path.display());
    }
}

#[test]
fn forbidden_import_is_found() {
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
        (&["domain", "a"], "use crate::{self as root, clock::Clock as C};", &["domain::a -> clock::Clock"]),
        (&["domain", "a"], "m!(crate::entity::x);", &["domain::a -> entity::x"]),
        (&["domain", "a"], "pub(in crate::api) fn f() {}", &["domain::a -> api"]),
        (
            &["api", "a"],
            "use crate::{cli::Failure, config};",
            &["api::a -> cli::Failure", "api::a -> config"],
        ),
        (&["api", "a"], "use migration::Migrator;", &["api::a -> migration::Migrator"]),
        (&["cli", "user"], "use crate::api::openapi;", &["cli::user -> api::openapi"]),
        (&["http", "a"], "use crate::identity::Identity;", &["http::a -> identity::Identity"]),
        (&["clock"], "use crate::*;", &["clock -> *"]),
        (&["attic", "a"], "", &["attic is not in the table"]),
    ];
    for (module, text, expected) in planted {
        assert_eq!(violations(module, text), *expected, "{text}");
    }
}

#[test]
fn text_that_resembles_an_import_is_ignored() {
    let harmless: &[(&[&str], &str)] = &[
        (&["domain", "a"], "/// See [`X`](crate::db::X).\n// crate::db\n/* /* crate::a */ crate::db */"),
        (&["domain", "a"], r##"const A: &str = "crate::db"; const B: &str = r#"" crate::db"#;"##),
        (&["domain", "a"], r#"fn f<'a>(x: &'a str) -> char { if x == "\"" { '"' } else { '\'' } }"#),
        (&["domain", "a"], "use super::origin; mod tests { use super::super::id; use crate::domain::x; }"),
        (&["domain", "a"], "use other::poem::x; use x::{migration::y, crate_store::z};"),
        (&["cli", "serve"], "use crate::{server::{Parts, Server}, config::Config, listener::Listener};"),
    ];
    for (module, text) in harmless {
        assert_eq!(violations(module, text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(code("a /* b */ \"c\" 'd' // e"), "a   \"\" '' ");
}
