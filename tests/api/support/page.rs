//! Pages of the documentation whose commands are run.

use std::path::Path;

/// The shell commands of a page. Each pair is a text of the page, and the text that replaces it in the test.
pub fn commands(page: &str, replaced: &[(&str, &str)]) -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script = blocks.collect::<Vec<_>>().join("\n");
    replaced.iter().fold(script, |script, (original, here)| {
        assert!(script.contains(original), "{original} is not in {page}");
        script.replace(original, here)
    })
}
