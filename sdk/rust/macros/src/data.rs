//! `#[data]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Field, Ident, Item, ItemEnum, ItemStruct, Path, Token};

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
    let fields = fields(&item, serialize);
    let debug = (!derives(attrs, "Debug")).then(|| quote!(::std::fmt::Debug,));
    let serialize = serialize.then(|| quote!(::weft_sdk::serde::Serialize,));
    let deserialize = deserialize.then(|| quote!(::weft_sdk::serde::Deserialize,));
    Ok(quote! {
        #fields
        #[derive(#debug #serialize #deserialize ::weft_sdk::schemars::JsonSchema)]
        #[serde(crate = "::weft_sdk::serde")]
        #[schemars(crate = "::weft_sdk::schemars")]
        #item
    })
}

/// Looks whether the fields are data, so that the first error says what they lack, before each derived trait says so in its own way. Passed
/// over is what serde is told to treat in a way of its own, and what can't be named outside of the type.
fn fields(item: &Item, is_written: bool) -> Option<TokenStream> {
    let (generics, fields): (_, Vec<&Field>) = match item {
        Item::Struct(item) => (&item.generics, item.fields.iter().collect()),
        Item::Enum(item) => (&item.generics, item.variants.iter().flat_map(|variant| &variant.fields).collect()),
        _ => return None,
    };
    let is_plain = |field: &&&Field| {
        let own = field
            .attrs
            .iter()
            .any(|attribute| ["serde", "schemars"].iter().any(|name| attribute.path().is_ident(name)));
        let ty = &field.ty;
        !own && !names_self(quote!(#ty))
    };
    let types = fields.iter().filter(is_plain).map(|field| &field.ty);
    let check = types.map(|ty| quote_spanned!(ty.span()=> is_data::<#ty>();)).collect::<Vec<_>>();
    let bound = if is_written { quote!(::weft_sdk::Output) } else { quote!(::weft_sdk::Input) };
    (generics.params.is_empty() && !check.is_empty()).then(|| {
        quote! {
            const _: fn() = || {
                fn is_data<T: #bound>() {}
                #(#check)*
            };
        }
    })
}

fn names_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "Self",
        TokenTree::Group(group) => names_self(group.stream()),
        _ => false,
    })
}

/// Whether one of the attributes derives this trait.
fn derives(attrs: &[Attribute], name: &str) -> bool {
    attrs.iter().filter(|attribute| attribute.path().is_ident("derive")).any(|attribute| {
        let paths = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        paths.is_ok_and(|paths| paths.iter().any(|path| path.segments.last().is_some_and(|last| last.ident == name)))
    })
}
