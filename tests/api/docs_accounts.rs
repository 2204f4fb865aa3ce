//! The requests in docs/accounts.md work in the order in which the page shows them.

use std::path::Path;

use crate::support::{both, process::Site};

/// The shell commands of the page.
fn commands() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/accounts.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

both! {
    async fn account_lives_and_leaves_as_the_page_shows(kind: Kind) {
        // The page waits for the default of ten seconds.
        let site = Site::new(kind).await.with("HOMEROOM_REFRESH_REUSE_INTERVAL", "1");
        let server = site.listen("serve").await;
        let replaced = [
            ("homeroom serve &", ""),
            ("B=http://127.0.0.1:8080", &format!("B={}", server.url)),
            ("sleep 11", "sleep 2"),
        ];
        let script = replaced.iter().fold(commands(), |script, (page, here)| {
            assert!(script.contains(page), "{page} is not in the page");
            script.replace(page, here)
        });
        let ended = site.run_script(&script).await;
        assert!(ended.status.success(), "{ended:?}");
        let out = ended.out;
        // The replay, the second replay, and the newer token of the ended session.
        assert_eq!(out.matches(r#""errors""#).count(), 3, "{out}");
        assert_eq!(out.matches("The refresh token is invalid").count(), 3, "{out}");
        assert_eq!(out.matches(r#""emailVerified":true"#).count(), 3, "confirmed, read and deleted: {out}");
        assert!(out.contains(r#""kind":"sessions""#), "{out}");
        assert_eq!(out.matches(r#""lastName":"Nguyễn""#).count(), 3, "changed, read and deleted: {out}");
        assert!(out.contains(r#""lastName": "Nguyễn""#), "exported: {out}");
        assert_eq!(site.run(&["user", "list"]).await.success(), "");
    }
}
