//! What to try while the demo runs.

use crate::{build, layout::Layout, say, web::reachable};
use demo::{SUBJECT, configuration::Addresses, token};

pub(crate) fn print(layout: &Layout, addresses: &Addresses) -> anyhow::Result<()> {
    let http = format!("http://{}", reachable(addresses.http));
    let admin = format!("http://{}", reachable(addresses.admin));
    let build = build::build_line(layout, &layout.root.join("plugins/home-ios"));
    let (token, title) = (token(SUBJECT), say::bold);
    let operator = std::fs::read_to_string(layout.admin_token()?)?;
    say::line(&format!(
        "
{everything} The playground, signed in (open it in a browser):

  {admin}/sign-in#token={operator}

Try, in another terminal:

  {a}
  curl -i {http}/web/films/51
  curl -i {http}/ios/films/51
  curl -i {http}/tv/films/51
  curl -i {http}/home -H 'x-client: tv'      # told by a header instead of the path
  curl '{http}/web/films/51?fields=title,directors.name'
  curl {http}/web/openapi.json               # what there is to ask: docs/frontends/start.md

  {b}
  curl -i {http}/web/films/51/rating -H 'content-type: application/json' -d '{{\"stars\": 5}}' \\
       -H 'authorization: Bearer {token}'

  {e}
  curl {http}/web/mcp -H 'content-type: application/json' -H 'mcp-protocol-version: 2025-11-25' \
       -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"get_films_by_id\",\"arguments\":{{\"id\":51}}}}}}'

  {c}
  $EDITOR plugins/home-ios/src/lib.rs        # the words of `home`, say
  {build}
  curl {http}/ios/home

  {d}
  curl {admin}/v1/plugins -H \"authorization: Bearer $(cat {file})\"
  {top}
  curl {admin}/metrics

Ctrl-C stops everything.",
        everything = say::green("Everything runs."),
        a = title("One film, three frontends, each with its own answer"),
        b = title(&format!("A rating, signed in as {SUBJECT} (for another token: cargo demo -- --token bob)")),
        e = title("The same for agents: endpoints as tools, by the Model Context Protocol"),
        c = title("Change a plugin while it serves: edit, build, and the host swaps it in"),
        d = title("The operator's side"),
        file = layout.shown(&layout.admin_token()?),
        top = format_args!(
            "{} top --admin {admin} --token-file {}",
            layout.shown(&layout.program("weft")),
            layout.shown(&layout.admin_token()?)
        ),
    ));
    Ok(())
}
