//! `plugin!` and `clients!`.

use std::path::PathBuf;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{Error, Path, Token};

use crate::endpoint::endpoint_name;

/// What `weft_build` writes to `OUT_DIR`.
const CLIENTS: &str = "/weft.rs";
const METHODS: &str = "/weft.methods";
const DESCRIPTORS: &str = "/weft.binpb";

pub(crate) fn expand(endpoints: TokenStream) -> TokenStream {
    let parser = Punctuated::<Path, Token![,]>::parse_terminated;
    let paths = match syn::parse::Parser::parse2(parser, endpoints) {
        Ok(paths) if paths.is_empty() => {
            let message = "a plugin has endpoints: name their functions, as in `plugin!(home, film)`";
            return Error::new(Span::call_site(), message).into_compile_error();
        }
        Ok(paths) => paths,
        Err(error) => {
            let message = "expected functions, as in `plugin!(home, films::film)`";
            return Error::new(error.span(), message).into_compile_error();
        }
    };
    let endpoints = paths.iter().map(listed);
    // A plugin that calls nothing needs no build.rs.
    let (methods, descriptors) = if generated(METHODS) {
        (
            quote!(::std::include!(::std::concat!(::std::env!("OUT_DIR"), #METHODS))),
            quote!(::weft_sdk::__descriptors!(::std::concat!(::std::env!("OUT_DIR"), #DESCRIPTORS))),
        )
    } else {
        (quote!(&[]), quote!(&[]))
    };
    quote! {
        /// This plugin, for tests and native servers.
        pub fn plugin() -> ::weft_sdk::Plugin {
            const PLUGIN: ::weft_sdk::Plugin = ::weft_sdk::Plugin::new(&[#(#endpoints),*], #methods, #descriptors);
            PLUGIN
        }

        ::weft_sdk::__export!(plugin);
    }
}

/// The endpoint of a function. Where none was made of it, the inner block finds none, but for the one of the outer block, of which the
/// SDK says what is missing. If there is no such function either, the compiler says that, and nothing more.
fn listed(path: &Path) -> TokenStream {
    let Some(function) = path.segments.last().map(|last| &last.ident) else { return TokenStream::new() };
    let endpoint = endpoint_name(function);
    let parents: Vec<_> = path.segments.iter().take(path.segments.len().saturating_sub(1)).collect();
    let leading = path.leading_colon;
    let module = if parents.is_empty() { quote!(self) } else { quote!(#leading #(#parents)::*) };
    let listed = quote_spanned!(function.span()=> ::weft_sdk::plugin::listed::<#endpoint, _>(&#function));
    quote! {{
        #[allow(dead_code, non_camel_case_types, reason = "only there for what is no endpoint")]
        struct #endpoint;
        {
            #[allow(unused_imports, reason = "there may be nothing to find")]
            use #module::*;
            #listed
        }
    }}
}

pub(crate) fn clients(nothing: TokenStream) -> TokenStream {
    if !nothing.is_empty() {
        return Error::new_spanned(nothing, "`clients!()` takes nothing").into_compile_error();
    }
    if !generated(CLIENTS) {
        let message = "there are no generated clients: add a build.rs with \
                       `fn main() -> Result<(), weft_build::Error> { weft_build::protos(&[\"../protos\"]) }`, \
                       and weft-build to [build-dependencies]";
        return Error::new(Span::call_site(), message).into_compile_error();
    }
    quote_spanned!(Span::call_site()=> ::std::include!(::std::concat!(::std::env!("OUT_DIR"), #CLIENTS));)
}

/// Whether this crate's build script has written that file. rustc knows of it by the `include!`.
fn generated(file: &str) -> bool {
    let Some(folder) = std::env::var_os("OUT_DIR") else { return false };
    PathBuf::from(folder).join(file.trim_start_matches('/')).is_file()
}
