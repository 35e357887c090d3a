//! Values of one of several shapes: which of the old is which of the new.

use super::{
    bounds::Turn,
    comparison::Comparison,
    document::Unreadable,
    schema::Aspect,
    view::{Node, Types, View, tags},
};
use serde_json::Value;

/// Ways to call a shape, the surest first: by what tells it apart on the wire, its component, its title, the fields it must have, its types.
const WAYS: usize = 5;

/// One of several shapes.
#[derive(Debug)]
struct Variant<'a> {
    node: Node<'a>,
    names: [Option<String>; WAYS],
}

impl Variant<'_> {
    fn text(&self) -> &str {
        self.names.iter().flatten().next().map_or("a shape without a name", String::as_str)
    }
}

impl<'a> Comparison<'a> {
    /// One of them does nothing but to choose among shapes; the other one too, or it is the only shape.
    pub(super) fn variants(
        &mut self,
        (old, old_node): (&View<'a>, &[&'a Value]),
        (new, new_node): (&View<'a>, &[&'a Value]),
    ) -> Result<(), Unreadable> {
        match (old.is_anything(), new.is_anything()) {
            (true, _) => return Ok(self.turned(Aspect::Type, Turn::Tighter, "was anything, is one of several shapes")),
            (_, true) => return Ok(self.turned(Aspect::Type, Turn::Laxer, "was one of several shapes, is anything")),
            _ => {}
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
        let (mut was, mut is) = (old, new);
        let mut pairs = Vec::new();
        for way in 0..=WAYS {
            // By types alone only where there is no doubt.
            let (mut left, unique) = (Vec::new(), way == WAYS);
            for variant in was {
                let name = |variant: &Variant<'a>| way.checked_sub(1).and_then(|way| variant.names.get(way)?.clone());
                let is_same = |other: &Variant<'a>| match way {
                    0 => other.node == variant.node,
                    _ => name(other).is_some() && name(other) == name(&variant),
                };
                let same = |other: &&Variant<'a>| is_same(other);
                match is.iter().position(|other| same(&other)) {
                    Some(at) if !unique || is.iter().filter(same).count() == 1 => pairs.push((variant, is.remove(at))),
                    _ => left.push(variant),
                }
            }
            was = left;
        }
        if was.len() == 1 && is.len() == 1 {
            pairs.extend(was.drain(..).zip(is.drain(..)));
        }
        for (was, is) in &pairs {
            let step = if pairs.len() > 1 { format!("<{}>", is.text()) } else { String::new() };
            self.within(&step, &was.node, &is.node, aside);
        }
        for variant in was {
            self.turned(Aspect::Variant, Turn::Tighter, &format!("{} is gone", variant.text()));
        }
        for variant in is {
            self.turned(Aspect::Variant, Turn::Laxer, &format!("{} is new", variant.text()));
        }
        Ok(())
    }

    fn variant(&mut self, node: Node<'a>, is_old: bool) -> Result<Variant<'a>, Unreadable> {
        let document = if is_old { self.old } else { self.new };
        let view = View::of(document, &node)?;
        self.step(view.made_of.len() + view.fields.len())?;
        let tags = tags(document, &view);
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
        Ok(Variant { node, names: names.map(|name| name.map(|name| super::text::cut(&name))) })
    }
}
