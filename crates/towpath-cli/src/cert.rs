//! `towpath cert gen`.

use towpath_control::{CertificateOrder, Exit, generate_certificates};

use crate::args::CertGen;

/// Makes what was asked for.
pub(crate) fn generate(words: CertGen) -> Exit {
    generate_certificates(&CertificateOrder {
        folder: words.dir,
        names: words.names,
        client: words.client,
        days: words.days,
        force: words.force,
    })
}
