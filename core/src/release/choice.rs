//! What an endpoint leads to: one of several, each as often as its weight says.

/// At least one, each with its weight.
#[derive(Debug, Clone)]
pub struct Choice<T> {
    first: T,
    /// With what `first` and those between weigh together.
    others: Vec<(u64, T)>,
    /// Of all together.
    weight: u64,
}

impl<T> Choice<T> {
    pub fn only(first: T) -> Self {
        Self { first, others: Vec::new(), weight: 1 }
    }

    /// Those that weigh something; `None` if there are none.
    pub fn weighted(list: impl IntoIterator<Item = (u32, T)>) -> Option<Self> {
        let mut list = list.into_iter().filter(|(weight, _)| *weight > 0);
        let (weight, first) = list.next()?;
        let mut all = Self { first, others: Vec::new(), weight: weight.into() };
        for (weight, other) in list {
            all.others.push((all.weight, other));
            all.weight += u64::from(weight);
        }
        Some(all)
    }

    /// The one on which `draw` falls: with draws spread evenly over all numbers, each as often as its weight says. `draw` is not called
    /// where there is nothing to choose.
    pub fn pick(&self, draw: impl FnOnce() -> u64) -> &T {
        if self.others.is_empty() {
            return &self.first;
        }
        let at = draw() % self.weight.max(1);
        let is_beyond = |(from, _): &&(u64, T)| at >= *from;
        self.others.iter().rev().find(is_beyond).map_or(&self.first, |(_, other)| other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_picked_as_often_as_its_weight_says() {
        let choice = Choice::weighted([(0, 'x'), (1, 'a'), (0, 'y'), (3, 'b'), (2, 'c')]).unwrap();
        let picked: String = (0..12).map(|draw| *choice.pick(|| draw)).collect();
        assert_eq!(picked, "abbbccabbbcc");
        assert!(Choice::weighted([(0, 'x')]).is_none());
        assert_eq!(*Choice::only('a').pick(|| unreachable!("there is nothing to choose")), 'a');
    }
}
