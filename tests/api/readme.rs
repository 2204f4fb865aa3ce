//! README and docs agree with the files and with the server.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use homeroom::domain::person::PersonName;
use serde_json::{Map, Value, json};

use crate::support::{Kind, School, TEACHER};

const PAGES: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/accounts.md",
    "docs/adding-an-operation.md",
    "docs/architecture.md",
    "docs/classes.md",
    "docs/clients.md",
    "docs/configuration.md",
    "docs/decisions/0011-removed-accounts.md",
    "docs/operations.md",
    "docs/passwords.md",
    "docs/performance.md",
    "docs/rate-limiting.md",
    "docs/rosters.md",
    "docs/security.md",
];

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap()
}

/// The link targets of a page that are not URLs, as paths from the root of the repository.
fn linked_files(page: &str) -> Vec<PathBuf> {
    let directory = Path::new(page).parent().unwrap();
    let text = read(page);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets
        .filter(|target| !target.is_empty() && !target.contains(':'))
        .map(|target| directory.join(target))
        .collect()
}

#[test]
fn links_in_readme_and_docs_point_to_existing_files() {
    for page in PAGES {
        for file in linked_files(page) {
            assert!(top().join(&file).exists(), "{page} links to {}", file.display());
        }
    }
}

#[test]
fn client_programs_are_linked_from_readme_or_docs() {
    for program in [
        "tests/contract/clients/typescript/example.ts",
        "tests/contract/clients/python/example.py",
        "tests/contract/clients/rust/src/main.rs",
        "tests/contract/clients/sdk/example.js",
    ] {
        assert!(read("README.md").contains(&format!("({program})")), "{program} is not in README.md");
        assert!(
            read("docs/clients.md").contains(&format!("(../{program})")),
            "{program} is not in docs/clients.md"
        );
    }
}

#[test]
fn versions_in_docs_clients_equal_the_pinned_ones() {
    let page = read("docs/clients.md");
    for (file, pins) in [
        (
            "tests/contract/clients/typescript/package.json",
            ["openapi-typescript", "openapi-fetch", "typescript", "jose"].as_slice(),
        ),
        ("tests/contract/clients/sdk/package.json", &["@userdocks/web-client-sdk"]),
        ("tests/contract/clients/python/requirements.txt", &["openapi-python-client", "httpx", "mypy"]),
        ("tests/contract/clients/rust/Cargo.toml", &["progenitor", "reqwest"]),
    ] {
        let text = read(file);
        for package in pins {
            let pinned = text.lines().find_map(|line| version(line, package));
            let pinned = pinned.unwrap_or_else(|| panic!("{package} is not in {file}"));
            assert!(
                page.contains(&format!("{package} {pinned}")),
                "docs/clients.md does not say {package} {pinned}"
            );
        }
    }
}

/// The version in a line of package.json, requirements.txt or Cargo.toml that pins the package.
fn version<'a>(line: &'a str, package: &str) -> Option<&'a str> {
    let rest = line.trim_start().trim_start_matches('"').strip_prefix(package)?;
    let rest = rest.trim_start_matches('"').trim_start();
    let version =
        rest.strip_prefix("==").or_else(|| rest.strip_prefix(':')).or_else(|| rest.strip_prefix('='))?;
    let digits = |character: char| character.is_ascii_digit() || character == '.';
    let start = version.find(digits)?;
    version[start..].split(|character| !digits(character)).next()
}

#[tokio::test]
async fn claims_table_in_docs_clients_lists_every_claim() {
    let school = School::start(Kind::Sqlite).await;
    let name = |name| PersonName::parse(name).ok();
    school
        .change_account(TEACHER, |account| {
            (account.first_name, account.last_name) = (name("Mai"), name("Tran"));
        })
        .await;
    let code = school.code(TEACHER).await;
    let changes = json!({ "nonce": "n-0S6_WzA2Mj", "scope": "openid email profile" });
    let item = school.request_tokens(&code, changes).await.json()["items"][0].take();

    let page = read("docs/clients.md");
    let table = page.split("| claim |").nth(1).unwrap().split("\n\n").next().unwrap();
    for (column, token) in [(2, "accessToken"), (3, "idToken")] {
        let payload = item[token].as_str().unwrap().split('.').nth(1).unwrap();
        let claims: Map<String, Value> =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        let issued: BTreeSet<&str> = claims.keys().map(String::as_str).collect();
        let documented: BTreeSet<&str> = table
            .lines()
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
            .filter(|cells| cells.len() > 3 && cells[1].starts_with('`') && cells[column] != "-")
            .map(|cells| cells[1].trim_matches('`'))
            .collect();
        assert_eq!(documented, issued, "{token}");
    }
}

/// The text of all Rust files below a directory.
fn rust_text(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            text.push_str(&rust_text(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn tests_named_in_docs_security_exist() {
    let sources = rust_text(&top().join("tests/api")) + &rust_text(&top().join("src"));
    let page = read("docs/security.md");
    let is_test = |word: &&str| {
        word.matches('_').count() >= 3
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    let named: BTreeSet<&str> = page.split('`').filter(is_test).collect();
    assert!(named.len() > 30, "{named:?}");
    for name in named {
        assert!(sources.contains(&format!("fn {name}(")), "docs/security.md names {name}, which is no test");
    }
}

#[test]
fn requirements_in_docs_security_have_a_result() {
    let page = read("docs/security.md");
    let rows: Vec<Vec<&str>> = page.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
    let rows: Vec<_> =
        rows.iter().filter(|cells| cells.get(1).is_some_and(|cell| cell.contains("(L"))).collect();
    assert!(rows.len() > 60, "{}", rows.len());
    for cells in rows {
        assert!(["met", "partly", "not met", "n/a"].contains(&cells[3]), "{cells:?}");
        assert!(!cells[4].is_empty(), "{cells:?}");
    }
}

#[test]
fn every_flag_is_documented_in_docs_configuration() {
    let page = read("docs/configuration.md");
    let mut config = read("src/config.rs");
    for entry in fs::read_dir(top().join("src/config")).unwrap() {
        config += &fs::read_to_string(entry.unwrap().path()).unwrap();
    }
    let variables = config.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    for variable in variables {
        assert!(page.contains(variable), "{variable} is not in docs/configuration.md");
    }
}
