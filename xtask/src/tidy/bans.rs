//! The deny list of deny.toml against the lock file, for machines without cargo-deny; and no second version of the
//! crates whose types meet each other.

/// Two versions of one of these in a build are two worlds that do not speak to each other.
const ONE_VERSION: &[&str] = &["tokio", "hyper", "h2", "http", "rustls", "prost", "tonic", "httparse"];

pub(super) fn check(deny: &str, lock: &str) -> Vec<String> {
    let banned: Vec<&str> = deny.lines().filter_map(banned_name).collect();
    let locked: Vec<&str> = lock.lines().filter_map(|line| quoted_after(line, "name = ")).collect();
    let mut faults = Vec::new();
    if banned.is_empty() {
        faults.push("deny.toml: no banned crate found".to_owned());
    }
    for name in banned.iter().filter(|name| locked.contains(name)) {
        faults.push(format!("Cargo.lock: {name} is banned; deny.toml says why and what to take instead"));
    }
    for name in ONE_VERSION.iter().filter(|name| locked.iter().filter(|other| other == name).count() > 1) {
        faults.push(format!("Cargo.lock: {name} is there in two versions"));
    }
    faults
}

/// A second cryptographic library in the binary: two of them make rustls refuse to choose, and one is enough to watch.
const SECOND_CRYPTO: &[&str] =
    &["ring", "rustls-rustcrypto", "openssl-sys", "native-tls", "boring-sys", "rsa"];

/// Looks at what the shipped binary is built from: the lock file also names options that nobody takes.
pub(super) fn check_built(tree: &str) -> Vec<String> {
    let built = |name: &&&str| tree.lines().any(|line| line.split(' ').next() == Some(**name));
    let found = SECOND_CRYPTO.iter().filter(built);
    found.map(|name| format!("the binary links {name}: the one cryptographic library is aws-lc-rs")).collect()
}

/// The crate in a line such as `{ crate = "x", reason = "…" },`.
fn banned_name(line: &str) -> Option<&str> {
    quoted_after(line.trim_start().strip_prefix('{')?.trim_start(), "crate = ")
}

fn quoted_after<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "deny = [\n  { crate = \"rsa\", reason = \"timing\" },\n]\n";

    #[test]
    fn a_second_cryptographic_library_is_found() {
        assert!(check_built("aws-lc-rs v1.19.0\nrustls-webpki v0.103.17\n").is_empty());
        assert_eq!(check_built("rustls v0.23.46\nring v0.17.14\n").len(), 1);
    }

    #[test]
    fn a_banned_crate_and_a_second_version_are_found() {
        assert!(check(DENY, "[[package]]\nname = \"memchr\"\n").is_empty());
        assert_eq!(check(DENY, "name = \"rsa\"\n").len(), 1);
        assert_eq!(check(DENY, "name = \"tokio\"\nname = \"tokio\"\n").len(), 1);
        assert_eq!(check("", "").len(), 1);
    }
}
