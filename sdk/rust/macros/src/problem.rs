//! `#[problem]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Fields, Ident, ItemStruct, Lit, LitInt, LitStr, MetaNameValue, Token};

use crate::endpoint::documentation;

/// What the attribute says.
struct Arguments {
    status: LitInt,
    kind: Option<LitStr>,
    title: Option<LitStr>,
    detail: LitStr,
}

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    parse(arguments, item).unwrap_or_else(Error::into_compile_error)
}

fn parse(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let Arguments { status, kind, title, detail } = Arguments::parse(arguments)?;
    let item: ItemStruct = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), "`#[problem]` belongs on a struct: each kind of problem is one"))?;
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "a problem has no type parameters and no lifetimes"));
    }
    let names: Vec<&Ident> = match &item.fields {
        Fields::Named(fields) => fields.named.iter().filter_map(|field| field.ident.as_ref()).collect(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(fields) => return Err(Error::new_spanned(fields, "give the members names: callers see them")),
    };
    let reserved = ["type", "title", "status", "detail", "instance", "request_id", "trace_id"];
    if let Some(name) = names.iter().find(|name| reserved.contains(&name.to_string().as_str())) {
        return Err(Error::new_spanned(name, "every problem has such a member already"));
    }
    let keys = names.iter().map(|name| name.to_string().trim_start_matches("r#").to_owned());
    let (summary, description) = documentation(&item.attrs);
    let about = format!("{summary}\n\n{description}");
    let about = about.trim();
    let with_kind = kind.as_ref().map(|kind| quote!(.with_kind(#kind)));
    let with_title = title.as_ref().map(|title| quote!(.with_title(#title)));
    let (kind, title) =
        (kind.map_or(String::new(), |kind| kind.value()), title.map_or(String::new(), |title| title.value()));
    let name = &item.ident;
    Ok(quote! {
        #item

        impl ::weft_sdk::DeclaredProblem for #name {
            const STATUS: u16 = #status;
            const KIND: &'static str = #kind;
            const TITLE: &'static str = #title;
            const DESCRIPTION: &'static str = #about;
        }

        impl ::std::convert::From<#name> for ::weft_sdk::Problem {
            fn from(problem: #name) -> Self {
                #[allow(unused_variables, reason = "not every member is in the text")]
                let #name { #(#names),* } = problem;
                ::weft_sdk::Problem::declared::<#name>(::std::format_args!(#detail)) #with_kind #with_title #(.with(#keys, &#names))*
            }
        }
    })
}

impl Arguments {
    fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let expected =
            "expected `status = 404, detail = \"there is no film {film}\"`, and `kind` and `title` if it has a type";
        let parser = Punctuated::<MetaNameValue, Token![,]>::parse_terminated;
        let span = proc_macro2::Span::call_site();
        let members = syn::parse::Parser::parse2(parser, tokens).map_err(|error| Error::new(error.span(), expected))?;
        let (mut status, mut kind, mut title, mut detail) = (None, None, None, None);
        for member in members {
            let Expr::Lit(value) = &member.value else { return Err(Error::new_spanned(&member.value, expected)) };
            let place = member.path.get_ident().map(ToString::to_string).unwrap_or_default();
            match (place.as_str(), &value.lit) {
                ("status", Lit::Int(number)) => status = Some(number.clone()),
                ("kind", Lit::Str(text)) => kind = Some(text.clone()),
                ("title", Lit::Str(text)) => title = Some(text.clone()),
                ("detail", Lit::Str(text)) => detail = Some(text.clone()),
                _ => return Err(Error::new_spanned(&member, expected)),
            }
        }
        let status = status.ok_or_else(|| Error::new(span, expected))?;
        if !status.base10_parse::<u16>().is_ok_and(|status| (400..600).contains(&status)) {
            return Err(Error::new(status.span(), "a problem has a status from 400 to 599"));
        }
        if let Some(kind) = kind.as_ref().filter(|kind| kind.value().starts_with("urn:weft:")) {
            return Err(Error::new(kind.span(), "types that begin with `urn:weft:` are the host's own"));
        }
        if let (Some(title), None) = (&title, &kind) {
            return Err(Error::new(title.span(), "a title names a type: give it a `kind`, or leave the title out"));
        }
        Ok(Self { status, kind, title, detail: detail.ok_or_else(|| Error::new(span, expected))? })
    }
}
