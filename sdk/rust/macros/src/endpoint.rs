//! `#[get]` and its siblings.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Error, Expr, ExprLit, FnArg, GenericArgument, Ident, ItemFn, Lit, LitStr, Meta, Path, PathArguments, ReturnType,
    Token, Type, parenthesized,
};

use crate::template;

/// What the attribute says: a path, and the problems that are declared.
struct Arguments {
    path: LitStr,
    problems: Option<Punctuated<Path, Token![,]>>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path = input.parse()?;
        if input.is_empty() {
            return Ok(Self { path, problems: None });
        }
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            return Ok(Self { path, problems: None });
        }
        let word: Ident = input.parse()?;
        if word != "problems" {
            return Err(Error::new(word.span(), "expected `problems(NoSuchFilm, ..)`"));
        }
        let list;
        parenthesized!(list in input);
        let problems = list.parse_terminated(Path::parse, Token![,])?;
        input.parse::<Option<Token![,]>>()?;
        Ok(Self { path, problems: Some(problems) })
    }
}

pub(crate) fn expand(method: &str, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let endpoint = check(method, arguments, item.clone()).map(|(said, function)| generate(method, &said, &function));
    // Function and endpoint stay in any case, so that one mistake does not cause a second error.
    match endpoint {
        Ok(endpoint) => quote!(#item #endpoint),
        Err(error) => {
            let (error, endpoint) = (error.into_compile_error(), syn::parse2(item.clone()).map(placeholder).ok());
            quote!(#item #error #endpoint)
        }
    }
}

/// What `plugin!` finds in place of an endpoint that could not be made.
fn placeholder(function: ItemFn) -> TokenStream {
    let (vis, name) = (function.vis, endpoint_name(&function.sig.ident));
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named after the function")]
        #vis struct #name;

        impl ::weft_sdk::plugin::IsEndpoint for #name {
            const ENDPOINT: ::weft_sdk::Endpoint =
                ::weft_sdk::Endpoint::new(::weft_sdk::__purpose!(), ["", "", ::std::stringify!(#name), "", ""], |_| ::std::unreachable!(), |_| {});
        }
    }
}

/// The name of the item that stands for the endpoint of a function. `plugin!` uses it too.
pub(crate) fn endpoint_name(function: &Ident) -> Ident {
    format_ident!("weft_endpoint_{}", function)
}

fn check(method: &str, arguments: TokenStream, item: TokenStream) -> syn::Result<(Arguments, ItemFn)> {
    let attribute = method.to_lowercase();
    let said = syn::parse2::<Arguments>(arguments).map_err(|error| {
        let example =
            format!("#[{attribute}(\"/films/{{id}}\")], and behind it `problems(NoSuchFilm)` if it declares some");
        Error::new(error.span(), format!("expected a path, as in {example}"))
    })?;
    let path = &said.path;
    let names = template::params(&path.value()).map_err(|message| Error::new(path.span(), message))?;
    let function: ItemFn = syn::parse2(item)?;
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        return Err(Error::new(signature.fn_token.span, "an endpoint is an `async fn`"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "an endpoint has no type parameters and no lifetimes"));
    }
    for input in &signature.inputs {
        match input {
            FnArg::Receiver(receiver) => {
                return Err(Error::new(receiver.span(), "an endpoint is a function of its own"));
            }
            FnArg::Typed(argument) => check_path(&argument.ty, &names)?,
        }
    }
    if let ReturnType::Type(_, ty) = &signature.output
        && let Some(span) = find_impl(quote!(#ty))
    {
        return Err(Error::new(span, "name the type: the API's schema is made from it"));
    }
    Ok((said, function))
}

/// Where `impl` stands in a type, if it does.
fn find_impl(tokens: TokenStream) -> Option<Span> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(ident) if ident == "impl" => Some(ident.span()),
        TokenTree::Group(group) => find_impl(group.stream()),
        _ => None,
    })
}

/// Compares `Path<..>` with the template, as far as the type's spelling tells.
fn check_path(ty: &Type, names: &[String]) -> syn::Result<()> {
    let Type::Path(path) = ty else { return Ok(()) };
    let Some(segment) = path.path.segments.last() else { return Ok(()) };
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return Ok(()) };
    let (true, Some(GenericArgument::Type(inner))) = (segment.ident == "Path", arguments.args.first()) else {
        return Ok(());
    };
    if names.is_empty() {
        return Err(Error::new(ty.span(), "the path template has no parameters to take"));
    }
    let count = match inner {
        Type::Tuple(tuple) => tuple.elems.len(),
        Type::Path(path) if path.path.segments.last().is_some_and(|last| is_scalar(&last.ident)) => 1,
        _ => return Ok(()),
    };
    if count == names.len() {
        return Ok(());
    }
    let listed = names.join("`, `");
    let message = format!("this takes {count}, but the path template has {} (`{listed}`)", names.len());
    Err(Error::new(inner.span(), message))
}

fn is_scalar(ident: &Ident) -> bool {
    let scalars = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "f32", "f64", "bool", "char", "String"];
    scalars.iter().any(|scalar| ident == scalar)
}

fn generate(method: &str, Arguments { path, problems }: &Arguments, function: &ItemFn) -> TokenStream {
    let ItemFn { attrs, vis, sig, .. } = function;
    let name = &sig.ident;
    let endpoint = endpoint_name(name);
    let full_name = format!("{method} {}", path.value());
    let (summary, description) = documentation(attrs);
    let types: Vec<&Type> = sig
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(argument) => Some(&*argument.ty),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let values: Vec<Ident> = (0..types.len()).map(|index| format_ident!("argument_{index}")).collect();
    let extracts = types.iter().zip(&values).map(
        |(ty, value)| quote_spanned!(ty.span()=> let #value = <#ty as ::weft_sdk::Extract>::extract(&mut request)?;),
    );
    let describes =
        types.iter().map(|ty| quote_spanned!(ty.span()=> <#ty as ::weft_sdk::Extract>::describe(description);));
    let output = match &sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => quote!(#ty),
    };
    let declares = problems.iter().map(|problems| {
        let problems = problems.iter();
        quote!(description.problems(); #(description.problem::<#problems>();)*)
    });
    let (takes, misplaced): (Vec<_>, Vec<_>) = bodies(method, &types).unzip();
    let count = types.len();
    // Errors about the returned type belong where it stands; that a future is not `Send` belongs to the function's name.
    let returned = quote_spanned!(output.span()=> <#output as ::weft_sdk::IntoResponse>::respond(output).await);
    let described = quote_spanned!(output.span()=> <#output as ::weft_sdk::IntoResponse>::describe(description););
    let boxed = quote_spanned!(name.span()=> ::std::boxed::Box::pin(future));
    // All that asks something of a type stands in one body: of one body the compiler says each thing once.
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named after the function")]
        #[derive(Debug)]
        #vis struct #endpoint;

        const _: () = {
            #[allow(unused_mut, unused_variables, reason = "there may be no arguments")]
            const MADE: (::weft_sdk::Endpoint, [bool; #count]) = (
                ::weft_sdk::Endpoint::new(
                    ::weft_sdk::__purpose!(),
                    [#method, #path, #full_name, #summary, #description],
                    |mut request| {
                        let future = async move {
                            #(#extracts)*
                            let output = #name(#(#values),*).await;
                            #returned
                        };
                        #boxed
                    },
                    |description| {
                        #(#describes)*
                        #(#declares)*
                        #described
                    },
                ),
                [#(#takes),*],
            );
            #(#misplaced)*

            #[allow(unreachable_pub, reason = "whether `plugin!` may name it, the type says")]
            impl #endpoint {
                #[doc(hidden)]
                pub const ENDPOINT: ::weft_sdk::Endpoint = MADE.0;
            }

            impl ::weft_sdk::plugin::IsEndpoint for #endpoint {
                const ENDPOINT: ::weft_sdk::Endpoint = MADE.0;
            }
        };
    }
}

/// For each argument whether it takes the body where it may not, which the compiler knows, and what it says of that.
fn bodies(method: &str, types: &[&Type]) -> impl Iterator<Item = (TokenStream, TokenStream)> {
    let (count, is_get) = (types.len(), method == "GET");
    types.iter().enumerate().map(move |(index, ty)| {
        let is_last = index + 1 == count;
        // `Request` is fine with a GET: it is there for the rest of the request.
        let takes = match (is_last, is_get) {
            (false, _) => quote_spanned!(ty.span()=> <#ty as ::weft_sdk::Extract>::TAKES_BODY),
            (true, true) => quote_spanned!(ty.span()=> <#ty as ::weft_sdk::Extract>::TAKES_BODY && !<#ty as ::weft_sdk::Extract>::WHOLE),
            (true, false) => quote!(false),
        };
        let message = if is_last {
            "a GET has no body: take `Query<T>` or `Path<T>` instead of `Json<T>`"
        } else {
            "what takes the body (`Json`, `Request`) has to be the last argument"
        };
        (takes, quote_spanned!(ty.span()=> const _: () = ::std::assert!(!MADE.1[#index], #message);))
    })
}

/// The first paragraph of a doc comment, and the rest.
pub(crate) fn documentation(attrs: &[syn::Attribute]) -> (String, String) {
    let lines = attrs.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let text =
        lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect::<Vec<_>>().join("\n");
    let (summary, description) = text.trim().split_once("\n\n").unwrap_or((text.trim(), ""));
    (summary.replace('\n', " "), description.trim().to_owned())
}
