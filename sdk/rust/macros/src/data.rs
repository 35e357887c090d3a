//! `#[data]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Ident, Item, ItemEnum, ItemStruct, Path, Token};

pub(crate) fn expand(direction: TokenStream, item: TokenStream) -> TokenStream {
    match parse(direction, item) {
        Ok(tokens) => tokens,
        Err(error) => error.into_compile_error(),
    }
}

fn parse(direction: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let (serialize, deserialize) = if direction.is_empty() {
        (true, true)
    } else {
        let direction: Ident = syn::parse2(direction)?;
        match direction.to_string().as_str() {
            "output" => (true, false),
            "input" => (false, true),
            _ => return Err(Error::new(direction.span(), "expected `output`, `input` or nothing")),
        }
    };
    let item: Item = syn::parse2(item)?;
    let (Item::Struct(ItemStruct { attrs, .. }) | Item::Enum(ItemEnum { attrs, .. })) = &item else {
        return Err(Error::new_spanned(item, "`#[data]` belongs on a struct or an enum"));
    };
    let debug = (!derives(attrs, "Debug")).then(|| quote!(::std::fmt::Debug,));
    let serialize = serialize.then(|| quote!(::weft_sdk::serde::Serialize,));
    let deserialize = deserialize.then(|| quote!(::weft_sdk::serde::Deserialize,));
    Ok(quote! {
        #[derive(#debug #serialize #deserialize ::weft_sdk::schemars::JsonSchema)]
        #[serde(crate = "::weft_sdk::serde")]
        #[schemars(crate = "::weft_sdk::schemars")]
        #item
    })
}

/// Whether one of the attributes derives this trait.
fn derives(attrs: &[Attribute], name: &str) -> bool {
    attrs.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|attribute| {
        let paths = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        paths.is_ok_and(|paths| paths.iter().any(|path| path.segments.last().is_some_and(|last| last.ident == name)))
    })
}
