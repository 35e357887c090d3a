//! Values of one of several shapes: which of the old is which of the new.

use super::{
    bounds::Turn,
    comparison::Comparison,
    document::Unreadable,
    schema::Aspect,
    view::{Node, Types, View, tags},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Ways to call a shape, the surest first: by what tells it apart on the wire, its component, its title, the fields it must have, its types.
const WAYS: usize = 5;

/// One of several shapes.
#[derive(Debug)]
struct Variant<'a> {
    node: Node<'a>,
    names: [Option<String>; WAYS],
}

impl Variant<'_> {
    fn text(&self) -> String {
        self.names.iter().flatten().next().map_or("a shape without a name".to_owned(), |name| super::text::cut(name))
    }
}

impl<'a> Comparison<'a> {
    /// One of them does nothing but to choose among shapes; the other one too, or it is the only shape.
    pub(super) fn variants(
        &mut self,
        (old, old_node): (&View<'a>, &[&'a Value]),
        (new, new_node): (&View<'a>, &[&'a Value]),
    ) -> Result<(), Unreadable> {
        let turn = match (old.is_anything(), new.is_anything()) {
            (true, _) => Some((Turn::Tighter, "was anything, is one of several shapes")),
            (_, true) => Some((Turn::Laxer, "was one of several shapes, is anything")),
            _ => None,
        };
        if let Some((turn, detail)) = turn {
            self.turned(Aspect::Type, turn, detail);
            return Ok(());
        }
        let aside = old.types.has(Types::NULL) || new.types.has(Types::NULL);
        let shapes = |view: &View<'a>, node: &[&'a Value]| -> Vec<Node<'a>> {
            match view.unions.first().filter(|_| view.is_union()) {
                Some(list) => list.iter().map(|schema| vec![*schema]).collect(),
                None => vec![node.to_vec()],
            }
        };
        self.paired(shapes(old, old_node), shapes(new, new_node), aside)
    }

    /// Choices beside fields of their own.
    pub(super) fn variants_beside(&mut self, old: &View<'a>, new: &View<'a>) -> Result<(), Unreadable> {
        if old.unions.len() != new.unions.len() {
            self.unclear("there are other choices of shapes (`anyOf`, `oneOf`)");
            return Ok(());
        }
        for (was, is) in old.unions.iter().zip(&new.unions) {
            let each = |list: &Node<'a>| list.iter().map(|schema| vec![*schema]).collect();
            self.paired(each(was), each(is), false)?;
        }
        Ok(())
    }

    fn paired(&mut self, old: Vec<Node<'a>>, new: Vec<Node<'a>>, aside: bool) -> Result<(), Unreadable> {
        let old: Vec<Variant<'a>> = old.into_iter().map(|node| self.variant(node, true)).collect::<Result<_, _>>()?;
        let new: Vec<Variant<'a>> = new.into_iter().map(|node| self.variant(node, false)).collect::<Result<_, _>>()?;
        let (pairs, gone, added) = matched(&old, &new);
        for (was, is) in &pairs {
            let step = if pairs.len() > 1 { format!("<{}>", is.text()) } else { String::new() };
            self.within(&step, &was.node, &is.node, aside);
        }
        for variant in gone {
            self.turned(Aspect::Variant, Turn::Tighter, &format!("{} is gone", variant.text()));
        }
        for variant in added {
            self.turned(Aspect::Variant, Turn::Laxer, &format!("{} is new", variant.text()));
        }
        Ok(())
    }

    fn variant(&mut self, node: Node<'a>, is_old: bool) -> Result<Variant<'a>, Unreadable> {
        let document = if is_old { self.old } else { self.new };
        let view = View::of(document, &node)?;
        self.step(view.weight())?;
        let mut tags = tags(document, &view);
        if self.is_problem {
            tags.retain(|tag| tag.starts_with("type="));
        }
        let constants = view.values.as_ref().map(|values| values.iter().cloned().collect::<Vec<_>>().join(" or "));
        let title = node.iter().find_map(|schema| schema.get("title")?.as_str()).map(str::to_owned);
        let required: Vec<&str> = view.required.iter().copied().collect();
        let names = [
            Some(tags.join(", ")).filter(|tags| !tags.is_empty()).or(constants),
            view.name.map(str::to_owned),
            title,
            Some(required.join(", ")).filter(|names| !names.is_empty()).map(|names| format!("{{{names}}}")),
            Some(view.types.without(Types::NULL).text()),
        ];
        Ok(Variant { node, names })
    }
}

type Matched<'v, 'a> = (Vec<(&'v Variant<'a>, &'v Variant<'a>)>, Vec<&'v Variant<'a>>, Vec<&'v Variant<'a>>);

/// Those that are the same shape; those that only the old side has, and those that only the new one has.
fn matched<'v, 'a>(old: &'v [Variant<'a>], new: &'v [Variant<'a>]) -> Matched<'v, 'a> {
    let mut pairs = Vec::new();
    let (mut was, mut is): (BTreeMap<usize, _>, BTreeMap<usize, _>) =
        (old.iter().enumerate().collect(), new.iter().enumerate().collect());
    let take = |at: (usize, usize), was: &mut BTreeMap<usize, _>, is: &mut BTreeMap<usize, _>| {
        was.remove(&at.0).zip(is.remove(&at.1))
    };
    for (at, (variant, other)) in old.iter().zip(new).enumerate() {
        if variant.node == other.node {
            pairs.extend(take((at, at), &mut was, &mut is));
        }
    }
    for way in 0..WAYS {
        let by_name = |side: &BTreeMap<usize, &'v Variant<'a>>| {
            let mut found: BTreeMap<&'v str, Vec<usize>> = BTreeMap::new();
            for (at, variant) in side {
                if let Some(name) = variant.names.get(way).and_then(Option::as_deref) {
                    found.entry(name).or_default().push(*at);
                }
            }
            found
        };
        let (these, those) = (by_name(&was), by_name(&is));
        for (name, these) in these {
            let those = those.get(name).map_or(&[][..], Vec::as_slice);
            // By types alone only where there is no doubt.
            if way + 1 < WAYS || (these.len() == 1 && those.len() == 1) {
                pairs.extend(these.iter().zip(those).filter_map(|(a, b)| take((*a, *b), &mut was, &mut is)));
            }
        }
    }
    if was.len() == 1 && is.len() == 1 {
        pairs.extend(was.pop_first().zip(is.pop_first()).map(|((_, was), (_, is))| (was, is)));
    }
    (pairs, was.into_values().collect(), is.into_values().collect())
}
