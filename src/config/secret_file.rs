//! Secrets in files, such as those of containers.

use std::path::Path;

use zeroize::Zeroizing;

/// The content of a file, without the byte order mark and the line break that editors may add.
pub(super) fn read(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let text = Zeroizing::new(std::fs::read_to_string(path)?);
    let secret = text.trim_start_matches('\u{FEFF}');
    let secret =
        secret.strip_suffix('\n').map_or(secret, |secret| secret.strip_suffix('\r').unwrap_or(secret));
    Ok(Zeroizing::new(secret.to_owned()))
}
