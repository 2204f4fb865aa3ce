//! The requests in docs/accounts.md work in the order in which the page shows them.

use crate::support::{both, page, process::Site};

both! {
    async fn account_lives_and_leaves_as_the_page_shows(kind: Kind) {
        // The page waits for the default of ten seconds.
        let site = Site::new(kind).await.with("HOMEROOM_REFRESH_REUSE_INTERVAL", "1");
        let server = site.listen("serve").await;
        let script = page::commands("docs/accounts.md", &[
            ("homeroom serve &", ""),
            ("B=http://127.0.0.1:8080", &format!("B={}", server.url)),
            ("sleep 11", "sleep 2"),
        ]);
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
