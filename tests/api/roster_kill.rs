//! An import that is killed half-way, and run again.

use std::time::Duration;

use homeroom::entity::class;
use sea_orm::{EntityTrait, PaginatorTrait};

use crate::{
    roster::{Files, database, import, outline, site, totals},
    support::both,
};

both! {
    async fn import_killed_half_way_and_run_again_gives_the_same_rows(kind: Kind) {
        const CLASSES: usize = 200;
        let files = Files::large(CLASSES);
        let (whole, killed) = (site(kind).await, site(kind).await);
        for site in [&whole, &killed] {
            site.run(&["migrate"]).await.success();
        }
        import(&whole, files.path(), &[]).await.success();
        let mut interrupted = 0;
        let db = database(&killed).await;
        // Each round kills the import once it has made at least one class more.
        for _ in 0..3 {
            let before = class::Entity::find().count(db.read()).await.unwrap();
            let program = killed.start(&["roster", "import", files.path().to_str().unwrap()], "");
            loop {
                let now = class::Entity::find().count(db.read()).await.unwrap();
                if now > before || now == CLASSES as u64 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // Kills it with SIGKILL.
            drop(program);
            let after = class::Entity::find().count(db.read()).await.unwrap();
            interrupted += u32::from(after > before && after < CLASSES as u64);
        }
        assert!(interrupted > 0, "the import was never killed half-way");
        let rest = import(&killed, files.path(), &[]).await.success();
        assert_eq!(totals(&rest)[1][0] + totals(&rest)[1][4], CLASSES as u64);
        assert_eq!(outline(&killed).await, outline(&whole).await);
        let again = import(&killed, files.path(), &[]).await.success();
        assert_eq!(totals(&again), [[0, 0, 0, 0, 601], [0, 0, 0, 0, 200], [0, 0, 0, 0, 600]]);
        db.close().await.unwrap();
    }
}
