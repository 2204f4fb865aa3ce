//! The requests in docs/classes.md work in the order in which the page shows them.

use homeroom::classroom::authorization::{Cell, Row, TABLE};

use crate::support::{both, page, process::Site};

both! {
    async fn class_lives_and_closes_as_the_page_shows(kind: Kind) {
        let site = Site::new(kind)
            .await
            .with("HOMEROOM_JOIN_PAGE", "https://app.example.com/join")
            .with("HOMEROOM_STUDENT_DOMAIN", "pupils.example.com");
        let server = site.listen("serve").await;
        let script = page::commands("docs/classes.md", &[
            ("homeroom serve --join-page https://app.example.com/join --student-domain pupils.example.com &", ""),
            ("B=http://127.0.0.1:8080", &format!("B={}", server.url)),
        ]);
        let ended = site.run_script(&script).await;
        assert!(ended.status.success(), "{ended:?}");
        let out = ended.out;
        for (text, count) in [
            (r#""name":"10A1""#, 4),
            (r#""errorCode":"INVALID_JOIN_CODE""#, 3),
            (r#""errorCode":"FORBIDDEN""#, 1),
            (r#""errorCode":"CLASS_FULL""#, 1),
            (r#""errorCode":"PRECONDITION_FAILED""#, 1),
            (r#""errorCode":"INVALID_FILE""#, 1),
            (r#""errorCode":"NOT_SCHOOL_ACCOUNT""#, 1),
            (r#""errorCode":"#, 8),
            (r#""username":"linh.nguyen@pupils.example.com""#, 1),
            (r#""username":"mia.sommer@pupils.example.com""#, 1),
            (r#""firstName":"Linh Chi""#, 3),
            (r#""status":"transferred""#, 1),
            (r#""joinUrl":"https://app.example.com/join?code="#, 1),
        ] {
            assert_eq!(out.matches(text).count(), count, "{text}: {out}");
        }
    }
}

/// The cells of a row of the page.
fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn table_of_the_page_is_the_table_of_the_code() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/classes.md")).unwrap();
    let table = text.split("| operation | stranger |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(2).map(cells).collect();
    let expected = TABLE.iter().map(|Row { operation, cells, operator }| {
        let cells = cells.map(|cell| match cell {
            Cell::Allowed => "yes",
            Cell::Forbidden => "403",
            Cell::Hidden => "404",
            Cell::NotListed => "not listed",
            Cell::Other(status) => status,
        });
        let operator = operator.map_or_else(|| "-".to_owned(), |command| format!("`{command}`"));
        let operation = format!("`{operation}`");
        [operation].into_iter().chain(cells.map(str::to_owned)).chain([operator]).collect::<Vec<_>>()
    });
    assert_eq!(rows, expected.collect::<Vec<_>>());
}
