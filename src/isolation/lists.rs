//! Lists of numbers in one array.

/// Lists of numbers in one array, one for each of many owners.
#[derive(Debug, Default)]
pub(super) struct Lists {
    start: Vec<u32>,
    pub(super) items: Vec<u32>,
}

impl Lists {
    /// Sorts pairs of (owner, item) by owner; the items of one owner keep their order.
    pub(super) fn group(owners: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut start = vec![0_u32; owners + 1];
        for (owner, _) in pairs.clone() {
            start[owner as usize + 1] += 1;
        }
        for owner in 0..owners {
            start[owner + 1] += start[owner];
        }
        let mut next = start.clone();
        let mut items = vec![0; start[owners] as usize];
        for (owner, item) in pairs {
            let at = &mut next[owner as usize];
            items[*at as usize] = item;
            *at += 1;
        }
        Self { start, items }
    }

    /// Lists of these lengths, filled with one item.
    pub(super) fn with_lengths(lengths: impl Iterator<Item = usize>, item: u32) -> Self {
        let mut start = vec![0];
        let mut end = 0;
        for length in lengths {
            end += length;
            start.push(u32::try_from(end).expect("fewer than 2^32"));
        }
        Self {
            start,
            items: vec![item; end],
        }
    }

    pub(super) fn push_all(&mut self, items: impl Iterator<Item = u32>) {
        self.items.extend(items);
        self.start
            .push(u32::try_from(self.items.len()).expect("fewer than 2^32"));
    }

    pub(super) fn of(&self, owner: u32) -> &[u32] {
        let at = owner as usize;
        &self.items[self.start[at] as usize..self.start[at + 1] as usize]
    }

    pub(super) fn range(&self, owner: u32) -> std::ops::Range<usize> {
        let at = owner as usize;
        self.start[at] as usize..self.start[at + 1] as usize
    }
}
