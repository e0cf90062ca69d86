//! What a route does to the coding of bodies.

use towpath_config::options::{self, Encoding};
use towpath_config::value::{Opt, Switch};
use towpath_config::{Diagnostic, Spanned};
use towpath_gateway::plan::{Compress, MediaPattern};
use towpath_proto::coding::{Coding, DecodeLimits, Effort};

use super::Faults;

/// `None` when nothing is compressed.
pub(super) fn read_compress(
    written: &Opt<Switch<options::Compress>>,
    faults: &mut Faults,
) -> Option<Compress> {
    let written = written.as_ref()?.settings()?;
    let default = Compress::default();
    Some(Compress {
        codings: written.encodings.map_or(default.codings, |list| {
            list.iter().map(|encoding| read_encoding(encoding.value)).collect()
        }),
        types: written.types.map_or(default.types, |list| {
            list.iter().filter_map(|pattern| read_type(pattern, faults)).collect()
        }),
        body_bytes_min: written.min_body_bytes.map_or(default.body_bytes_min, |size| size.value.0),
        effort: written.effort.map_or(default.effort, |effort| read_effort(effort.value)),
    })
}

/// `None` when requests stay as they are.
pub(super) fn read_decompress(written: &Opt<Switch<options::DecompressRequest>>) -> Option<DecodeLimits> {
    let written = written.as_ref()?.settings()?;
    let default = DecodeLimits::default();
    Some(DecodeLimits {
        bytes_max: written.max_body_bytes.map_or(default.bytes_max, |size| size.value.0),
        ratio_max: written.max_ratio.map_or(default.ratio_max, |ratio| u64::from(ratio.value.get())),
    })
}

pub(super) fn read_encoding(encoding: Encoding) -> Coding {
    match encoding {
        Encoding::Brotli => Coding::Brotli,
        Encoding::Gzip => Coding::Gzip,
        Encoding::Zstd => Coding::Zstd,
    }
}

fn read_effort(effort: options::Effort) -> Effort {
    match effort {
        options::Effort::Fast => Effort::Fast,
        options::Effort::Balanced => Effort::Balanced,
        options::Effort::Small => Effort::Small,
    }
}

fn read_type(written: &Spanned<String>, faults: &mut Faults) -> Option<MediaPattern> {
    let Some(pattern) = MediaPattern::parse(written) else {
        let fault = Diagnostic::error(written.span, format!("\"{written}\" is not a media type"));
        faults.push(fault.hint("for example \"text/html\", \"text/*\" or \"application/*+json\""));
        return None;
    };
    if pattern.is_void() {
        let warning = Diagnostic::warning(written.span, format!("\"{written}\" is compressed already"));
        faults.push(warning.hint("no coding makes it smaller, so it is never compressed; take it out"));
    }
    Some(pattern)
}
