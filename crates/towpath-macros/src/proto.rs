//! From `.proto` files to the text of Rust: the file is parsed by protox, messages are written by prost, services by tonic.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost_build::{Config, Module};
use prost_types::FileDescriptorProto;
use protox::Compiler;

/// What a file becomes.
#[derive(Debug)]
pub(crate) struct Generated {
    /// A module for each package, with its messages and a module for each of its services.
    pub(crate) code: String,
    /// The file and what it imports, encoded as a `FileDescriptorSet`.
    pub(crate) descriptors: Vec<u8>,
    /// Every file that was read.
    pub(crate) files: Vec<PathBuf>,
}

/// Compiles the file at `path`; its folder is where imports start.
///
/// # Errors
/// The text for the compiler's user: where in which file, and what is wrong there.
pub(crate) fn generate(path: &Path) -> Result<Generated, String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().ok_or_else(|| format!("{} is no file", path.display()))?;
    // Its debug format is the one with file, line and column.
    let told = |fault: protox::Error| format!("{fault:?}");
    let mut compiler = Compiler::new([folder]).map_err(told)?;
    compiler.include_imports(true);
    compiler.open_file(name).map_err(told)?;
    let files = compiler.files().filter_map(|file| file.path()).map(Path::to_owned).collect();
    let descriptors = compiler.encode_file_descriptor_set();
    // Comments become documentation.
    compiler.include_source_info(true);
    let set = compiler.file_descriptor_set();
    // Google's own are in the crate of types.
    let own = set.file.into_iter().filter(|file| !file.package().starts_with("google.protobuf"));
    let requests = own.map(|file| (Module::from_protobuf_package_name(file.package()), file));
    let modules = rust(requests.collect()).map_err(|fault| fault.to_string())?;
    Ok(Generated { code: nested(&modules), descriptors, files })
}

/// The code of each package.
fn rust(requests: Vec<(Module, FileDescriptorProto)>) -> std::io::Result<BTreeMap<Vec<String>, String>> {
    let services = tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        // A method that is not written answers UNIMPLEMENTED, and a stream needs no type of its own.
        .generate_default_stubs(true)
        .codec_path("::towpath::grpc::ProstCodec");
    let mut config = Config::new();
    config
        .prost_path("::towpath::grpc::prost")
        .prost_types_path("::towpath::grpc::prost_types")
        .service_generator(services.service_generator());
    let modules = config.generate(requests)?;
    let parts = |module: &Module| module.parts().map(str::to_owned).collect();
    Ok(modules.iter().map(|(module, code)| (parts(module), code.clone())).collect())
}

/// Packages as modules within each other. What is in none stands beside them.
fn nested(modules: &BTreeMap<Vec<String>, String>) -> String {
    let mut code = String::new();
    for (name, members) in by_first(modules) {
        match name {
            Some(name) => {
                code += "/// A package of the file.\n";
                code += &format!(
                    "#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub)] pub mod {name} {{ {} }}\n",
                    nested(&members)
                );
            }
            None => members.values().for_each(|text| code += text),
        }
    }
    code
}

type Modules = BTreeMap<Vec<String>, String>;

fn by_first(modules: &Modules) -> BTreeMap<Option<String>, Modules> {
    let mut groups: BTreeMap<Option<String>, Modules> = BTreeMap::new();
    for (parts, text) in modules {
        let rest = parts.get(1..).unwrap_or_default().to_vec();
        groups.entry(parts.first().cloned()).or_default().insert(rest, text.clone());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles the first of these files.
    fn check(files: &[(&str, &str)]) -> Result<Generated, String> {
        let name = format!("towpath-proto-{}-{}", std::process::id(), files.len());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        for (name, text) in files {
            std::fs::write(folder.join(name), text).expect("the folder is the test's own");
        }
        let generated = generate(&folder.join(files[0].0));
        std::fs::remove_dir_all(&folder).expect("the folder is the test's own");
        generated
    }

    #[test]
    fn packages_are_modules_and_imports_are_known() {
        let main = "syntax = \"proto3\"; package a.b; import \"o.proto\"; import \"google/protobuf/empty.proto\";
            message M { o.O o = 1; } service S { rpc Get(M) returns (stream M); rpc Not(google.protobuf.Empty) returns (M); }";
        let generated =
            check(&[("m.proto", main), ("o.proto", "syntax = \"proto3\"; package o; message O {}")]).unwrap();
        for part in [
            "pub mod a {",
            "pub mod b {",
            "pub mod o {",
            "pub struct M {",
            "pub trait S",
            "super::super::o::O",
        ] {
            assert!(generated.code.contains(part), "{part} in\n{}", generated.code);
        }
        let names: Vec<_> = generated.files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert!(names.contains(&"m.proto") && names.contains(&"o.proto"), "{names:?}");
        assert!(!generated.descriptors.is_empty());
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        let fault = check(&[("f.proto", "syntax = \"proto3\";\nmessage M { strin name = 1; }")]).unwrap_err();
        assert!(fault.starts_with("f.proto:2:13: ") && fault.contains("strin"), "{fault}");
        assert!(generate(Path::new("/no/such.proto")).unwrap_err().contains("such.proto"));
    }
}
