//! The lines of versions that reads of lists have shown, and which of them is a list's version order.

use super::history::{Branch, History, Kind, ListRead};
use super::transaction::index;
use super::value::{IntegerMap, Value};

/// A key's version order is the longest list that committed transactions have seen. Reads that lie on another
/// branch and on this one, too, are moved to it.
pub(super) fn choose_main(history: &mut History, more_branches: &IntegerMap<u32, Vec<u32>>) {
    if more_branches.is_empty() {
        return;
    }
    // For each branch, how much of it lies on the main one.
    let mut common: IntegerMap<u32, u32> = IntegerMap::default();
    for (key, more) in more_branches {
        let main = &mut history.main_branch[*key as usize];
        let first = *main;
        let all = || std::iter::once(first).chain(more.iter().copied());
        let weight = |branch: &u32| {
            let branch = &history.branches[*branch as usize];
            (branch.proven, branch.values.len())
        };
        let longest = all().first_max(weight);
        *main = longest;
        let values = &history.branches[longest as usize].values;
        for branch in all().filter(|branch| *branch != longest) {
            let other = &history.branches[branch as usize].values;
            let same = values.iter().zip(other).take_while(|(a, b)| a == b).count();
            common.insert(branch, index(same));
        }
    }
    for operation in 0..history.kind.len() {
        if history.kind[operation] != Kind::ReadList {
            continue;
        }
        let read = ListRead::from_bits(history.value[operation]);
        if common.get(&read.branch).is_some_and(|same| read.length <= *same) {
            let branch = history.main_branch[history.key[operation] as usize];
            history.value[operation] = ListRead { branch, ..read }.to_bits();
        }
    }
}

/// The first of those with the greatest weight.
trait FirstMax: Iterator<Item = u32> + Sized {
    fn first_max<W: Ord>(self, weight: impl Fn(&u32) -> W) -> u32 {
        let best = self.reduce(|best, other| {
            if weight(&other) > weight(&best) {
                other
            } else {
                best
            }
        });
        best.expect("a key has a branch")
    }
}

impl<I: Iterator<Item = u32>> FirstMax for I {}

impl Branch {
    /// Whether a list lies on this branch; the branch grows if it must and may.
    ///
    /// What a transaction saw that may not have committed makes no branch longer that committed ones have seen.
    pub(super) fn take(&mut self, values: &[Value], proven: bool) -> bool {
        let common = values.len().min(self.values.len());
        if values[..common] != self.values[..common] {
            return false;
        }
        if values.len() > common {
            if proven != self.proven {
                return false;
            }
            self.values.extend_from_slice(&values[common..]);
        } else if proven && !self.proven {
            return false;
        }
        true
    }
}
