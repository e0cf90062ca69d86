//! One definition for each table.
//!
//! [`options!`] turns a struct of documented keys into the struct itself, its reader, its way to JSON and the
//! [`TableInfo`] that the schema, the reference and the search for the nearest key share. A key is added in one place.
//!
//! [`TableInfo`]: crate::shape::TableInfo

/// Defines tables. A field's TOML key is its name; `matches as "match"` gives it another.
macro_rules! options {
    ($(
        $(#[doc = $doc:literal])*
        $visibility:vis struct $table:ident {
            $(
                $(#[doc = $key_doc:literal])*
                pub $key:ident $(as $written:literal)? : $field:ty,
            )*
        }
    )*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        $visibility struct $table {
            $(
                $(#[doc = $key_doc])*
                pub $key: $field,
            )*
        }

        impl $crate::value::Table for $table {
            const INFO: &'static $crate::shape::TableInfo = &$crate::shape::TableInfo {
                name: stringify!($table),
                doc: &[$($doc),*],
                keys: &[$(
                    $crate::shape::KeyInfo {
                        name: $crate::table::key_name!($key $($written)?),
                        doc: &[$($key_doc),*],
                        shape: <$field as $crate::value::Field>::shape,
                    },
                )*],
            };

            fn absorb(&mut self, other: Self, faults: &mut Vec<$crate::Diagnostic>) {
                $(
                    let key = $crate::table::key_name!($key $($written)?);
                    $crate::value::Field::absorb(&mut self.$key, other.$key, key, faults);
                )*
            }
        }

        impl $crate::value::Value for $table {
            fn shape() -> $crate::shape::Shape {
                $crate::shape::Shape::Table(<Self as $crate::value::Table>::INFO)
            }

            fn read(node: $crate::reader::Node<'_>, reader: &mut $crate::reader::Reader<'_>) -> Option<Self> {
                reader.table(node, <Self as $crate::value::Table>::INFO, |reader, table| Self {
                    $( $key: reader.field(table, $crate::table::key_name!($key $($written)?)), )*
                })
            }

            fn to_json(&self) -> serde_json::Value {
                let mut object = serde_json::Map::new();
                $(
                    if let Some(value) = $crate::value::Field::to_json(&self.$key) {
                        object.insert($crate::table::key_name!($key $($written)?).to_owned(), value);
                    }
                )*
                serde_json::Value::Object(object)
            }
        }
    )*};
}

/// The TOML key of a field.
macro_rules! key_name {
    ($key:ident) => {
        stringify!($key)
    };
    ($key:ident $written:literal) => {
        $written
    };
}

pub(crate) use {key_name, options};
